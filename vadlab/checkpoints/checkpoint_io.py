"""Reading and writing checkpoints: only tensors and plain values, atomic writes, no code from a file."""

import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import nn

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DISK_IS_FULL, CheckpointError
from vadlab.utils.required_files import require_checkpoint

from .published_weights import published_checkpoint
from .tensor_files import read_tensor_file, tensors_in
from .weights import check_weights, weights_in


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a training checkpoint, on the CPU.

    Args:
        path (str | Path): The file, or an address of the hub (``hf://USER/NAME``).

    Returns:
        dict[str, Any]: At least ``state_dict``. Files that hold only weights, or hold them under another name that
            public code uses, are converted to this form.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It is damaged, holds code, or contains no weights, or a part of it is of a wrong type.
    """
    path = Path(require_checkpoint(path))
    content, metadata = read_tensor_file(path)
    checkpoint = published_checkpoint(content, metadata, str(path)) or content
    weights = weights_in(checkpoint, str(path))
    if 'state_dict' not in checkpoint:
        return {'state_dict': weights}
    meta = checkpoint.get('meta', {})
    if not isinstance(meta, dict):
        raise CheckpointError(f"{path}: its 'meta' is a {type(meta).__name__}, not a dict.")
    _check_meta(meta, path)
    return {**checkpoint, 'state_dict': weights}


def _check_meta(meta: Mapping[Any, Any], path: Path) -> None:
    """Check that ``meta`` holds plain values; only the data set's own part may hold arrays."""
    notes = {key: value for key, value in meta.items() if key != 'dataset_meta'}
    arrays = [place for place, _ in tensors_in(notes)]
    if arrays:
        raise CheckpointError(f'{path}: meta.{arrays[0]} is a tensor, where plain values belong.')
    for key in ('data', 'feature_recipe'):
        if not isinstance(meta.get(key, {}), Mapping):
            raise CheckpointError(f'{path}: meta.{key} is a {type(meta[key]).__name__}, not a dict.')


def in_our_names(model: nn.Module, state_dict: Mapping[str, torch.Tensor], name: str) -> Mapping[str, torch.Tensor]:
    """Weights under the model's names: unchanged if they have them, else converted by its ``from_public``.

    Args:
        model (nn.Module): The model. Its ``from_public``, if it has one, reads checkpoints of other code, in the
            layouts of its ``public_layouts``.
        state_dict (Mapping[str, Tensor]): The file's weights; a prefix ``module.`` of all names, from DataParallel, is
            removed.
        name (str): Name of the file, for messages.

    Returns:
        Mapping[str, Tensor]: The weights, which may still not fit the model: see :func:`load_weights`.

    Raises:
        CheckpointError: None of the names belongs to the model, and it does not read such a layout.
    """
    if state_dict and all(key.startswith('module.') for key in state_dict):
        state_dict = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    own = model.state_dict().keys()
    if state_dict.keys() == own or not hasattr(model, 'from_public'):
        return state_dict
    found = model.from_public(dict(state_dict))
    if found is not None:
        layouts = ', '.join(model.public_layouts)
        print_log(f'{name} is read in the layout of {layouts or "other code"}.', logger='current')
        return found
    if own & state_dict.keys():
        return state_dict  # our layout with other settings: load_weights reports the differences
    keys = list(state_dict)
    raise CheckpointError(
        f'{name} is neither a checkpoint of {type(model).__name__} nor in a layout that it reads '
        f'({"; ".join(model.public_layouts) or "none"}). Its tensors are called {", ".join(keys[:4])}'
        f'{", ..." if len(keys) > 4 else ""}.'
    )


def load_weights(model: nn.Module, state_dict: Mapping[str, torch.Tensor], name: str) -> None:
    """Load weights that must match the model exactly.

    Args:
        model (nn.Module): The model to load them into.
        state_dict (Mapping[str, Tensor]): The weights.
        name (str): Name of the file, for the message.

    Raises:
        CheckpointError: Keys are missing or unexpected, shapes or kinds of numbers differ, or numbers are NaN or
            infinite; the model is unchanged.
    """
    if hasattr(model, 'check_checkpoint'):  # models may have a clearer message than names and shapes
        model.check_checkpoint(state_dict, name)
    own = model.state_dict()
    missing = [k for k in own if k not in state_dict]
    unexpected = [k for k in state_dict if k not in own]
    shapes = [
        f'{k} {tuple(state_dict[k].shape)} in the file, {tuple(v.shape)} in the model'
        for k, v in own.items()
        if k in state_dict and isinstance(v, torch.Tensor) and state_dict[k].shape != v.shape
    ]
    parts = [
        f'{label} {len(keys)}: {", ".join(keys[:5])}{", ..." if len(keys) > 5 else ""}'
        for label, keys in (('missing', missing), ('unexpected', unexpected), ('of another shape', shapes))
        if keys
    ]
    if parts:
        raise CheckpointError(
            f'{name} belongs to another model than the config describes ({type(model).__name__}). '
            f'Keys {"; ".join(parts)}. Use the config that the checkpoint was trained with.'
        )
    check_weights(state_dict, own, name)
    model.load_state_dict(state_dict)


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Write a checkpoint atomically: ``path`` is always absent, the old file, or the whole new one.

    Raises:
        CheckpointError: It cannot be written (disk full, no permission); the old file is unchanged.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}.part')
    try:
        with open(part, 'wb') as file:
            torch.save(to_plain(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        kept = latest_checkpoint(path.parent)
        survivor = f'The last good checkpoint is {kept}.' if kept else 'There is no earlier one.'
        cause = _system_error(error)
        full = cause is None or cause.errno in DISK_IS_FULL
        advice = 'Make room' if full else 'Make that possible'
        raise CheckpointError(
            f'Could not save {path}: {_reason(error, path.parent)}. {survivor} {advice}, then continue with --resume.'
        ) from error
    except BaseException:  # a signal
        part.unlink(missing_ok=True)
        raise


def _reason(error: Exception, folder: Path) -> str:
    free = f'{shutil.disk_usage(folder).free / 2**20:,.0f} MiB free' if folder.is_dir() else 'the folder is gone'
    cause = _system_error(error)
    if cause is not None:
        return f'{cause.strerror or cause} ({free})'
    return f'the disk is probably full ({free}; {str(error).splitlines()[0]})'


def _system_error(error: BaseException | None) -> OSError | None:
    """The OSError that caused an error; torch's zip writer turns it into a RuntimeError."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def to_plain(value: Any) -> Any:
    """The same value in types that a weights-only reader accepts; objects of other types become text."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        # A subclass (numpy's float64, a str enum) would require its class at loading time.
        return value if type(value) in (type(None), bool, int, float, str, bytes) else _base_scalar(value)
    if isinstance(value, torch.Tensor):
        return value.detach() if value.requires_grad else value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value)) if value.dtype.kind in 'biuf' else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, OrderedDict):
        plain = OrderedDict((to_plain(k), to_plain(v)) for k, v in value.items())
        if hasattr(value, '_metadata'):  # torch's versions of modules
            plain._metadata = value._metadata  # type: ignore[attr-defined]
        return plain
    if isinstance(value, Mapping):
        return {to_plain(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(v) for v in value)
    if isinstance(value, (list, set, frozenset)):
        return [to_plain(v) for v in value]
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {'log': torch.from_numpy(np.asarray(log, float)), 'count': torch.from_numpy(np.asarray(count, float))}
    return str(value)


def _base_scalar(value: Any) -> Any:
    kinds: tuple[Any, ...] = (bool, int, float, str, bytes)
    return next((kind(value) for kind in kinds if isinstance(value, kind)), value)


def history_from_plain(value: Any) -> Any:
    """Restore a log history for MMEngine's message hub, from the form in which :func:`to_plain` saved it."""
    if isinstance(value, dict) and set(value) == {'log', 'count'}:
        return HistoryBuffer(value['log'].cpu().tolist(), value['count'].cpu().tolist())
    return value


POINTER = 'last_checkpoint'


def write_pointer(work_dir: str | Path, checkpoint: str | Path) -> None:
    """Write a run's newest checkpoint to ``last_checkpoint``; only its name if it is in the work dir itself."""
    pointer, checkpoint = Path(work_dir) / POINTER, Path(checkpoint)
    inside = checkpoint.resolve().parent == Path(work_dir).resolve()
    write_text(pointer, checkpoint.name if inside else str(checkpoint.resolve()))


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Path of the newest resumable checkpoint of a run, or None.

    This is the file named in ``last_checkpoint`` if it exists; else the ``epoch_*.pth`` or ``iter_*.pth`` with the most
    iterations, so that a pointer lost to a full disk does not lose the run. Only the file name of a path in the pointer
    is used, since the folder may have been moved or copied; a folder without own checkpoints may point to a file in
    another folder that is not a work dir.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / POINTER
    named = Path(pointer.read_text(errors='replace').strip() or '.') if pointer.is_file() else Path()
    if (work_dir / named.name).is_file():
        return work_dir / named.name
    newest = [path for kind in ('epoch', 'iter') if (path := _last_of(work_dir, kind)) is not None]
    if newest:
        return newest[0] if len(newest) == 1 else max(newest, key=_iterations)
    elsewhere = work_dir / named
    return elsewhere if elsewhere.is_file() and not (elsewhere.parent / POINTER).exists() else None


def _last_of(work_dir: Path, kind: str) -> Path | None:
    numbers = {
        int(found[1]): path
        for path in work_dir.glob('*.pth')
        if (found := re.fullmatch(rf'{kind}_(\d+)\.pth', path.name))
    }
    return numbers[max(numbers)] if numbers else None


def _iterations(path: Path) -> int:
    """Number of iterations of a checkpoint; -1 if it cannot be read or is not recorded."""
    try:
        return int(read_checkpoint(path)['meta']['iter'])
    except (CheckpointError, KeyError, TypeError, ValueError):
        return -1
