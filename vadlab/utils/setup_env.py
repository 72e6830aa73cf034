"""Registering every part of VADLab."""

from mmengine import DefaultScope

from vadlab import registry
from vadlab.registry import Registry
from vadlab.utils.gc_pause import search_as_usual


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
