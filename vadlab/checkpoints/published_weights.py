"""Weights for other people: a safetensors file with what a model needs beside its tensors, and nothing of the training.

Its header has one entry of VADLab, in JSON: notes (seed, epoch, versions, recipe of features), state of modules that is
no tensor (class names), and the layers that are quantised.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vadlab import __version__
from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import CheckpointError, ConfigError, DataError
from vadlab.utils.json_file import parse_json, shape_fault
from vadlab.utils.plain_config import from_json, to_json

_HEADER = 'vadlab_checkpoint'
#: Notes of a training that others need; the config, names and times of the run are left out.
_NOTES = ('seed', 'epoch', 'iter', 'versions', 'feature_recipe', 'dataset_meta')
_NESTED = 'vadlab_state'


def write_published(checkpoint: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a checkpoint as safetensors, without optimizer, random states and config.

    Args:
        checkpoint (Mapping[str, Any]): From :func:`~vadlab.checkpoints.checkpoint_io.read_checkpoint`.
        path (str | PathLike): The file to write.

    Raises:
        CheckpointError: A part cannot be stored without a pickle.
    """
    from safetensors.torch import save_file

    path = Path(path)
    tensors: dict[str, Tensor] = {}
    extra: dict[str, Any] = {}
    nested: list[Tensor] = []
    for name, value in checkpoint['state_dict'].items():
        if isinstance(value, Tensor):
            tensors[name] = value.detach().contiguous().clone()  # tied weights share memory, which the format refuses
        else:
            extra[name] = _without_tensors(value, nested)
    tensors |= {f'{_NESTED}.{i}': value.detach().contiguous().clone() for i, value in enumerate(nested)}
    meta = {key: value for key, value in checkpoint.get('meta', {}).items() if key in _NOTES}
    try:
        notes = {
            'meta': to_json({key: _as_lists(value) for key, value in meta.items()}, 'meta'),
            'extra': to_json(extra, 'state'),
            'quantization': to_json(checkpoint.get('quantization'), 'quantization'),
        }
    except ConfigError as error:
        raise CheckpointError(f'{path.name}: {error}') from error
    header = {'format': 'pt', 'vadlab': __version__, _HEADER: json.dumps(notes, ensure_ascii=False)}
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=header)


def published_checkpoint(content: Mapping[str, Any], metadata: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """The checkpoint in a file that :func:`write_published` wrote; None for other files.

    Args:
        content (Mapping[str, Any]): Its tensors.
        metadata (Mapping[str, str]): Its header.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The header is damaged.
    """
    if _HEADER not in metadata:
        return None
    where = f'{name}: its header {_HEADER}'
    shape = {'meta': {str: Any}, 'extra': {str: Any}, 'quantization?': {str: Any}}
    try:
        notes = parse_json(metadata[_HEADER], where, unique_keys=True)
        if fault := shape_fault(notes, shape):
            raise DataError(f'{where} is damaged: {fault}')
        meta, extra, quantization = (from_json(notes.get(key)) for key in ('meta', 'extra', 'quantization'))
    except (DataError, ConfigError) as error:
        raise CheckpointError(str(error)) from error
    tensors = {key: value for key, value in content.items() if not key.startswith(f'{_NESTED}.')}
    if clash := sorted(tensors.keys() & extra.keys()):
        raise CheckpointError(f'{where} is damaged: {clash[0]} is a tensor and a value')
    extra = {key: _with_tensors(value, content, where) for key, value in extra.items()}
    checkpoint: dict[str, Any] = {'meta': meta, 'state_dict': {**tensors, **extra}}
    return checkpoint if quantization is None else {**checkpoint, 'quantization': quantization}


def _without_tensors(value: Any, found: list[Tensor]) -> Any:
    """A value in which each tensor is replaced by its number in a list."""
    if isinstance(value, Tensor):
        found.append(value)
        return {_NESTED: len(found) - 1}
    if isinstance(value, Mapping):
        return {key: _without_tensors(one, found) for key, one in value.items()}
    return type(value)(_without_tensors(one, found) for one in value) if isinstance(value, list | tuple) else value


def _with_tensors(value: Any, content: Mapping[str, Any], where: str) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_NESTED}:
            tensor = content.get(f'{_NESTED}.{value[_NESTED]}')
            if tensor is None:
                raise CheckpointError(f'{where} is damaged: a tensor is missing')
            return tensor
        return {key: _with_tensors(one, content, where) for key, one in value.items()}
    return (
        type(value)(_with_tensors(one, content, where) for one in value) if isinstance(value, list | tuple) else value
    )


def _as_lists(value: Any) -> Any:
    """Notes with tensors and arrays as lists."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _as_lists(one) for key, one in value.items()}
    return type(value)(map(_as_lists, value)) if isinstance(value, list | tuple) else value
