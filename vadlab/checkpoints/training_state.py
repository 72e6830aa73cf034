"""Checks of a checkpoint's training state against the run that resumes from it."""

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vadlab.utils.errors import CheckpointError

from .weights import all_finite, listed

_FLOAT32_MAX = torch.finfo(torch.float32).max


def check_training_state(checkpoint: Mapping[str, Any], name: str) -> None:
    """Check the types of the parts that every run resumes from.

    Args:
        checkpoint (Mapping[str, Any]): A run's checkpoint, with ``meta`` and ``message_hub``.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The message names the parts and what they should be.
    """
    wrong = []
    meta, hub = checkpoint['meta'], checkpoint['message_hub']
    for key in ('epoch', 'iter'):
        if not _is_count(meta.get(key)):
            wrong.append(f'meta.{key} is {_what(meta.get(key))}, not a whole number >= 0')
    if meta.get('seed') is not None and not _is_count(meta['seed']):
        wrong.append(f'meta.seed is {_what(meta["seed"])}, not a whole number >= 0')
    if not isinstance(hub, Mapping):
        _refuse([*wrong, f'message_hub is {_what(hub)}, not a dict'], name)
    for key in ('log_scalars', 'runtime_info', 'resumed_keys'):
        if not isinstance(hub.get(key), Mapping) or not all(isinstance(k, str) for k in hub[key]):
            wrong.append(f'message_hub.{key} is {_what(hub.get(key))}, not a dict by names')
    if not wrong:
        wrong += [
            f'message_hub.log_scalars.{k} is not a history' for k, v in hub['log_scalars'].items() if not _is_log(v)
        ]
        wrong += [
            f'message_hub.resumed_keys.{k} is not a bool'
            for k, v in hub['resumed_keys'].items()
            if not isinstance(v, bool)
        ]
        for key, value in hub['runtime_info'].items():
            fits, wanted = _RUNTIME_INFO.get(re.sub(r'^(best_(?:score|ckpt))_.*', r'\1', key), (None, ''))
            if fits is not None and not fits(value):
                wrong.append(f'message_hub.runtime_info.{key} is {_what(value)}, not {wanted}')
    _refuse(wrong, name)


def check_optimizer_state(saved: Any, optimizer: Optimizer, name: str) -> None:
    """Check the saved state of an optimizer against its parameters.

    Fused optimizers read past the end of state tensors with a wrong shape. The expected state of a parameter is found
    by one step of an optimizer of the same kind on a small parameter.

    Args:
        saved (Any): ``state`` and ``param_groups``, from ``optimizer.state_dict()``. Missing settings of groups, and
            switches, are filled in from ``optimizer``.
        optimizer (Optimizer): Optimizer of the run, before loading.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The message names the parts and what they should be.
    """
    groups = saved.get('param_groups') if isinstance(saved, Mapping) else None
    state = saved.get('state') if isinstance(saved, Mapping) else None
    if not isinstance(state, Mapping) or not isinstance(groups, list) or not all(isinstance(g, dict) for g in groups):
        raise CheckpointError(f"{name} cannot be resumed from: its 'optimizer' is not the state of an optimizer.")
    sizes = [[len(g['params']) if isinstance(g.get('params'), list) else None for g in groups]]
    sizes.append([len(g['params']) for g in optimizer.param_groups])
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f'{name} cannot be resumed from: its optimizer has groups of {sizes[0]} parameters, and the run has '
            f'{sizes[1]}.'
        )
    wrong: list[str] = []
    for i, (group, own) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        for key, value in own.items():
            if value is None or isinstance(value, bool):
                group[key] = value  # the run's own switches of kernels are kept
            elif key != 'params':
                wrong += kind_differences(group.setdefault(key, value), value, f'optimizer.param_groups.{i}.{key}')
                if _is_number(value) and _is_number(group[key]) and group[key] < 0 <= value:
                    wrong.append(f'optimizer.param_groups.{i}.{key} is {group[key]}, below 0')
                elif _is_number(value) and _is_number(group[key]) and abs(group[key]) > _FLOAT32_MAX:
                    wrong.append(f'optimizer.param_groups.{i}.{key} is {group[key]}, which does not fit float32')
    _refuse(wrong, name)

    samples = _sample_states(optimizer)
    numbers = [n for group in groups for n in group['params']]
    parameters = [(p, i) for i, group in enumerate(optimizer.param_groups) for p in group['params']]
    if sorted(map(str, numbers)) != sorted(str(i) for i in range(len(numbers))) or not state.keys() <= set(numbers):
        raise CheckpointError(f'{name} cannot be resumed from: its optimizer numbers parameters that it does not have.')
    for number, (parameter, group_number) in zip(numbers, parameters, strict=True):
        found = state.get(number, {})
        place = f'optimizer.state.{number}'
        if not isinstance(found, Mapping):
            wrong.append(f'{place} is {_what(found)}, not a dict')
            continue
        for key, sample in samples[group_number].items() if found else ():
            wrong += _state_differences(found.get(key), sample, parameter, f'{place}.{key}')
    _refuse(wrong, name)


def check_same_kind(saved: Any, own: Any, part: str, name: str) -> None:
    """Refuse a part whose structure differs from the run's own state.

    Args:
        saved (Any): The state in the checkpoint.
        own (Any): The same state of the run.
        part (str): Name of the part, such as ``param_schedulers``.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The message names the places.
    """
    _refuse(kind_differences(saved, own, part), name)


def kind_differences(saved: Any, own: Any, place: str) -> list[str]:
    """Values with another type, length or shape than the run's own; if that is None, any plain value fits.

    Keys of a dict may be missing, but it may not have keys that ``own`` does not have.
    """
    if isinstance(own, Mapping):
        if not isinstance(saved, Mapping):
            return [f'{place} is {_what(saved)}, not a dict']
        unknown = [f'{place}.{key} is not known' for key in saved if key not in own]
        return unknown + [d for k in own if k in saved for d in kind_differences(saved[k], own[k], f'{place}.{k}')]
    if isinstance(own, list | tuple):
        if not isinstance(saved, list | tuple) or len(saved) != len(own):
            return [f'{place} is {_what(saved)}, not a list of {len(own)}']
        pairs = enumerate(zip(saved, own, strict=True))
        return [d for i, (a, b) in pairs for d in kind_differences(a, b, f'{place}.{i}')]
    if isinstance(own, Tensor):
        fits = isinstance(saved, Tensor) and saved.shape == own.shape and saved.dtype == own.dtype
        return [] if fits else [f'{place} is {_what(saved)}, not {_what(own)}']
    if isinstance(own, bool):
        return [] if saved is None or isinstance(saved, bool) else [f'{place} is {_what(saved)}, not a bool']
    if isinstance(own, int | float):
        fits = _is_number(saved) and (abs(saved) <= _FLOAT32_MAX or math.isinf(saved))
        return [] if fits else [f'{place} is {_what(saved)}, not a number']
    if isinstance(own, str):
        return [] if isinstance(saved, str) else [f'{place} is {_what(saved)}, not text']
    if own is None and not (saved is None or isinstance(saved, bool | int | float | str)):
        return [f'{place} is {_what(saved)}, not a plain value']
    return []


def _sample_states(optimizer: Optimizer) -> list[dict[str, Any]]:
    """State of one parameter per group, from a trial with shape (2, 3); empty if the trial fails."""
    samples: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        first = group['params'][0]
        parameter = nn.Parameter(torch.zeros(2, 3, device=first.device, dtype=first.dtype))
        parameter.grad = torch.zeros_like(parameter)
        samples.append({})
        with contextlib.suppress(Exception):  # it may need a closure or other arguments
            trial: Any = type(optimizer)([{**group, 'params': [parameter]}])  # type: ignore[call-arg]
            trial.step()
            samples[-1] = dict(trial.state[parameter])
    return samples


def _state_differences(saved: Any, sample: Any, parameter: Tensor, place: str) -> list[str]:
    if isinstance(sample, Tensor) and sample.shape == (2, 3):
        if not isinstance(saved, Tensor) or saved.shape != parameter.shape or not saved.is_floating_point():
            return [f'{place} is {_what(saved)}, and its parameter has shape {tuple(parameter.shape)}']
        if saved.layout != torch.strided or saved.is_quantized or saved.is_meta or not all_finite(saved):
            return [f'{place} is not a dense tensor of finite numbers']
    elif isinstance(sample, int | float) or (isinstance(sample, Tensor) and sample.ndim == 0):
        number = saved.item() if isinstance(saved, Tensor) and saved.numel() == 1 and not saved.is_meta else saved
        if not isinstance(number, int | float) or not math.isfinite(number):
            return [f'{place} is {_what(saved)}, not a number']
    return []


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Values that MMEngine's hooks read from the resumed run.
_RUNTIME_INFO: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(('epoch', 'iter', 'max_epochs', 'max_iters'), (_is_count, 'a whole number >= 0')),
    'best_score': (_is_number, 'a number'),
    **dict.fromkeys(('best_ckpt', 'last_ckpt'), (lambda value: isinstance(value, str), 'a file name')),
    'keep_ckpt_ids': (lambda v: isinstance(v, list) and all(map(_is_count, v)), 'a list of epochs'),
    'replaced_ckpts': (lambda v: isinstance(v, list) and all(isinstance(n, str) for n in v), 'a list of file names'),
}


def _is_log(value: Any) -> bool:
    """Whether a value is a history in plain values, or one of MMEngine's class, which checks itself."""
    if not isinstance(value, Mapping):
        return hasattr(value, 'data')
    log, count = value.get('log'), value.get('count')
    plain = all(isinstance(v, Tensor) and v.ndim == 1 and v.layout == torch.strided for v in (log, count))
    return value.keys() == {'log', 'count'} and plain and len(log) == len(count)  # type: ignore[arg-type]


def _what(value: Any) -> str:
    if isinstance(value, Tensor):
        return f'a tensor of {str(value.dtype).removeprefix("torch.")} {tuple(value.shape)}'
    if isinstance(value, list | tuple):
        return f'a list of {len(value)}'
    if value is None:
        return 'missing'
    text = repr(value)[:40] if isinstance(value, bool | int | float) else ''
    return f'a {type(value).__name__}{f" ({text})" if text else ""}'


def _refuse(wrong: list[str], name: str) -> None:
    if wrong:
        raise CheckpointError(
            f'{name} cannot be resumed from: {listed(wrong, "; ")}. It is damaged, or of another run; take an earlier '
            'checkpoint, or start over from its weights with --cfg-options load_from=FILE.'
        )
