"""Registering every part of VADLab, also in a worker of an engine."""

from mmengine import DefaultScope
from mmengine.logging import MMLogger

from vadlab import registry
from vadlab.registry import Registry
from vadlab.utils.gc_pause import search_as_usual
from vadlab.utils.runtime import quiet_third_parties


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import every module that registers a part.

    Args:
        init_default_scope: Also make ``vadlab`` the scope in which the Runner looks names up.
    """
    for found in vars(registry).values():
        if isinstance(found, Registry):
            found.import_from_location()
    search_as_usual()
    if init_default_scope and not DefaultScope.check_instance_created('vadlab'):
        DefaultScope.get_instance('vadlab', scope_name='vadlab')


def set_up_worker() -> None:
    """Prepare a worker of an engine to build a model: every part is registered, and only errors are logged."""
    quiet_third_parties()
    register_all_modules()
    MMLogger.get_instance('vadlab', logger_name='vadlab', log_level='ERROR')
