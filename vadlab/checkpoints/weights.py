"""Checks of weights: named tensors of finite numbers, of the same kinds as in the model."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vadlab.utils.errors import CheckpointError

#: Keys under which public code stores weights, besides ``state_dict`` and the top level of a file.
_WEIGHTS_ELSEWHERE = ('model_state_dict', 'model', 'net', 'network')


def weights_in(content: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Named tensors of a file's content, from any of the places where public code stores them.

    Args:
        content (Mapping): The content, from :func:`~vadlab.checkpoints.read_tensor_file`.
        name (str): Name of the file, for messages.

    Returns:
        dict[str, Any]: Dense tensors by name, and under ``..._extra_state`` the additional state of our modules.

    Raises:
        CheckpointError: It contains no tensors, or something else than dense tensors; the message names it.
    """
    if 'state_dict' in content:
        found: Any = content['state_dict']
    else:
        places = (content, *map(content.get, _WEIGHTS_ELSEWHERE))
        found = next((v for v in places if _holds_tensors(v)), None)
        if found is None:
            keys = list(map(str, content))
            raise CheckpointError(
                f'{name} contains no state_dict; its keys are {listed(keys) or "none"}. Give a file of weights.'
            )
    if not isinstance(found, Mapping):
        raise CheckpointError(f'{name} contains no weights: its state_dict is a {type(found).__name__}, not a dict.')
    wrong = [f'{key!r} is {problem}' for key, value in found.items() if (problem := _problem(key, value))]
    if wrong:
        raise CheckpointError(f'{name}: its state_dict must hold dense tensors by name, but {listed(wrong, "; ")}.')
    return dict(found)


def check_weights(state_dict: Mapping[str, Any], own: Mapping[str, Any], name: str) -> None:
    """Refuse weights that loading would change, or that are NaN or infinite.

    Loading converts silently: integers to floats, floats to integers, numbers beyond half precision to infinity.

    Args:
        state_dict (Mapping[str, Any]): Weights of the file.
        own (Mapping[str, Any]): Weights of the model. Names that it does not have, and other shapes, are skipped. A
            tensor that is not finite in a new model (a mask, an unset statistic) may be so in the file.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The message names the tensors.
    """
    kinds, values = [], []
    for key, mine in own.items():
        value = state_dict.get(key)
        if not isinstance(value, Tensor) or not isinstance(mine, Tensor) or value.shape != mine.shape:
            continue
        if _kind(value) != _kind(mine):
            kinds.append(f'{key} is {_short(value.dtype)} in the file, {_short(mine.dtype)} in the model')
        elif _kind(mine) == 'float':
            # The model's own value is checked last: it may be on another device.
            if not all_finite(value.to(mine.dtype)) and all_finite(mine):
                values.append(_not_finite(key, value.to(mine.dtype)))
        elif value.dtype != mine.dtype and not bool((value.to(mine.dtype) == value).all()):
            kinds.append(f'{key} has numbers that {_short(mine.dtype)} cannot hold')
    if kinds:
        raise CheckpointError(f'{name} holds numbers of another kind than the model: {listed(kinds, "; ")}.')
    _refuse_values(values, name)


def check_float_weights(weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that are integers, NaN or infinite, if there is no model yet to compare with.

    Raises:
        CheckpointError: The message names the tensors.
    """
    kinds = [f'{key} is {_short(value.dtype)}' for key, value in weights.items() if _kind(value) != 'float']
    if kinds:
        raise CheckpointError(
            f'{name} holds other numbers than floats as weights: {listed(kinds, "; ")}. Quantised weights cannot be '
            'read.'
        )
    _refuse_values([_not_finite(key, value) for key, value in weights.items() if not all_finite(value)], name)


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor of floats has no NaN and no infinity."""
    # A finite sum has finite terms, and summing is several times as fast as checking each term.
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(tensor.isfinite().all())


def listed(items: Iterable[str], separator: str = ', ', most: int = 5) -> str:
    """A phrase with the first few items, each cut to 200 characters, and the number of the others."""
    items = [item if len(item) <= 200 else f'{item[:200]}...' for item in items]
    return separator.join(items[:most]) + (f'{separator}and {len(items) - most} more' if len(items) > most else '')


def _refuse_values(values: list[str], name: str) -> None:
    if values:
        raise CheckpointError(
            f'{name} holds numbers that are NaN or infinite: {listed(values)}. Nothing can be computed with them: '
            'take an earlier checkpoint, or the file from its source again.'
        )


def _not_finite(key: str, value: Tensor) -> str:
    return f'{key} ({int((~value.isfinite()).sum()):,} of {value.numel():,})'


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, Tensor) for v in value.values())


def _problem(key: Any, value: Any) -> str:
    if not isinstance(key, str):
        return 'no name'
    if key.endswith('_extra_state') and not isinstance(value, Tensor):
        return ''
    if not isinstance(value, Tensor):
        return f'a {type(value).__name__}'
    if value.is_quantized:
        return 'a quantised tensor'
    if value.layout != torch.strided or value.is_nested:
        return f'a sparse or nested tensor ({str(value.layout).removeprefix("torch.")})'
    return 'a tensor without values' if value.is_meta else ''


def _kind(value: Tensor) -> str:
    return 'float' if value.is_floating_point() else 'complex' if value.is_complex() else 'integer'


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')
