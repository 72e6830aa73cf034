"""Finding misspelled options anywhere in a config, without building a part of it."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.registry import Registry
from torch.utils.data import DataLoader

from .suggest import nearest

#: What the Runner takes for a data loader beside torch's own arguments.
_OF_LOADERS = {*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch'} - {'self'}
#: What MMEngine reads before a part's constructor does, by where the part stands.
_READ_BEFORE = {'optim_wrapper': {'constructor', 'paramwise_cfg'}}
_ALWAYS = {'type', '_scope_'}


def misspelled_options(config: Mapping[str, Any], registries: Sequence[Registry]) -> list[str]:
    """Options that no constructor takes, each as ``model.vision.layer: CLIPVisionTransformer takes no option ...``.

    Parts are the dicts that have a ``type``. One whose ``type`` no registry knows, or whose constructor takes any
    keyword, is not judged; its inner parts are.

    Args:
        config (Mapping[str, Any]): What the Runner gets.
        registries (Sequence[Registry]): Where types are looked up, with their parents.

    Returns:
        list[str]: One line for each, in the order of the config.
    """
    return [
        f'{path}.{key}: {name} takes no option {key!r}. {nearest(key, sorted(known))}'
        for path, name, known, part in _parts(config, '', _types(registries))
        for key in part
        if key not in known | _ALWAYS
    ]


def _types(registries: Sequence[Registry]) -> dict[str, Any]:
    """Every registered name; of equal names in several registries, the first one's."""
    found: dict[str, Any] = {}
    for registry in registries:
        level: Registry | None = registry
        while level is not None:
            level.import_from_location()
            for name, part in level.module_dict.items():
                found.setdefault(name, part)
            level = level.parent
    return found


def _parts(node: Any, path: str, types: Mapping[str, Any]) -> Iterator[tuple[str, str, set[str], Mapping[str, Any]]]:
    """Place, name, options and content of each part whose options are known."""
    if isinstance(node, Mapping):
        kind = node.get('type')
        target = types.get(kind.rpartition('.')[2]) if isinstance(kind, str) else kind
        options = _options(target) if callable(target) else None
        if options is not None:
            yield path, getattr(target, '__name__', str(kind)), options | _READ_BEFORE.get(path, set()), node
        elif kind is None and path.rpartition('.')[2].endswith('_dataloader'):
            yield path, 'a data loader', _OF_LOADERS, node
        for key, value in node.items():
            yield from _parts(value, f'{path}.{key}' if path else str(key), types)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _parts(value, f'{path}.{i}', types)


def _options(target: Any) -> set[str] | None:
    """Keywords that a class or function takes; None where that is any, or cannot be told."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters}
