"""Making VADLab's parts known to the registries."""

from mmengine import DefaultScope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import every module that registers a part.

    Args:
        init_default_scope: Also make ``vadlab`` the scope in which the Runner looks names up.
    """
    import vadlab.datasets
    import vadlab.engine
    import vadlab.evaluation
    import vadlab.models
    import vadlab.visualization  # noqa: F401

    if init_default_scope and not DefaultScope.check_instance_created('vadlab'):
        DefaultScope.get_instance('vadlab', scope_name='vadlab')
