"""Reading tensors from untrusted files: nothing in them is executed, and damage is detected."""

import io
import os
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner import checkpoint as mm_checkpoint
from torch import Tensor

from vadlab.utils.errors import CheckpointError, MissingFileError

from .safe_globals import HARMLESS_GLOBALS

_SCRIPT_DTYPES = {
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'DoubleStorage': torch.float64,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'BoolStorage': torch.bool,
    'ByteStorage': torch.uint8,
}
#: Limit of the unpacked bytes of a file, by its size: some records are compressed, and some tensors share memory.
_UNFOLDS_AT_MOST = 4
_SMALL = 2**20
# Values are copied and compared by recursion.
_DEEPEST = 50


def read_tensor_file(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Content of a ``.safetensors``, ``.pth`` / ``.pt`` / ``.bin`` or TorchScript file, on the CPU.

    Torch's archives have a checksum per record; all of them are verified. Sizes that a file declares are compared with
    its own size before memory is allocated.

    Args:
        path (str | Path): The file.

    Returns:
        tuple: The object that was saved (often a dict of tensors by name), and the metadata of a safetensors file.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It cannot be read, is damaged or of an unknown kind, claims more memory than its size
            explains, or holds objects other than plain data, which could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'Checkpoint {path} does not exist.')
    if not os.access(path, os.R_OK):
        raise CheckpointError(f'Checkpoint {path} cannot be read: you have no permission.')
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    content = _read_torch_file(path)
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} contains no weights: it is a {type(content).__name__}, not a dict of tensors.')
    return content, {}


def forbid_unsafe_loading() -> None:
    """Replace MMEngine's checkpoint loading in this process by the safe reader.

    MMEngine tries ``weights_only=True`` first and then falls back to full unpickling with a warning, which runs any
    code in the file.
    """
    mm_checkpoint._safe_torch_load = _load_for_mmengine


def _load_for_mmengine(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """``torch.load``, but always safe, whatever the arguments are."""
    del weights_only
    if isinstance(file, str | Path):
        return _read_torch_file(Path(file))
    return _unpickle(file, getattr(file, 'name', 'The checkpoint'), map_location)


def _read_torch_file(path: Path) -> Any:
    try:
        with path.open('rb') as file:
            start = file.read(4)
        # A full disk leaves an empty file; torch's message for it is better.
        if start and start[:1] != b'\x80' and start[:2] != b'PK' and not tarfile.is_tarfile(path):
            raise CheckpointError(f'{path} is not a checkpoint: it does not begin as one. Give a .pth file of weights.')
        if start == b'PK\x03\x04':
            with zipfile.ZipFile(path) as archive:
                _verify_archive(path, archive)
                if any(name.endswith('/constants.pkl') for name in archive.namelist()):
                    return _read_torchscript(path, archive)
        content = _unpickle(path, path, 'cpu')
        _check_memory(content, path)
        return content
    except (CheckpointError, FileNotFoundError):
        raise
    except Exception as error:  # a file with arbitrary content can raise any error
        raise _damaged(path, error) from error


def _unpickle(file: Any, name: Any, map_location: Any) -> Any:
    try:
        with torch.serialization.safe_globals(HARMLESS_GLOBALS), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about old kinds of tensors
            return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        called = re.search(r'(?:GLOBAL|class) (getattr|[\w.]+)', str(error).replace('`', ''))
        raise CheckpointError(
            f'{name} is refused: it is damaged, or holds more than tensors and plain values'
            f'{f" (it calls {called[1]})" if called else ""}. Loading it could run code. If you trust where it comes '
            'from, load it where that is safe, and save its state_dict alone.'
        ) from error
    except FileNotFoundError:
        raise
    except Exception as error:  # as above
        raise _damaged(name, error) from error


def _damaged(name: Any, error: Exception) -> CheckpointError:
    reason = (str(error).splitlines() or [''])[0][:120] or type(error).__name__
    return CheckpointError(f'{name} cannot be read as a checkpoint; is it cut short or damaged? ({reason})')


def _verify_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Compare the sizes of an archive's records with the file, and their checksums with their bytes."""
    records = archive.infolist()
    size = path.stat().st_size
    # With another layout than torch's, torch could read other records than those checked here.
    with path.open('rb') as file:
        file.seek(-22, io.SEEK_END)
        end = file.read()
    names = {record.filename for record in records}
    if end[:4] != b'PK\x05\x06' or len(names) != len(records) or min(r.header_offset for r in records):
        raise CheckpointError(f'{path} is refused: its archive is not laid out as torch writes it.')
    unfolded = sum(record.file_size for record in records)
    if unfolded > _UNFOLDS_AT_MOST * size + _SMALL:
        raise CheckpointError(
            f'{path} is refused: its {size / 2**20:,.1f} MiB unfold to {unfolded / 2**20:,.1f} MiB, which weights '
            'never do. Save its state_dict again, uncompressed.'
        )
    if any(record.file_size for record in records) and not any(record.CRC for record in records):
        print_log(f'{path} was saved without checksums, so that damage cannot be noticed.', 'current', 30)
        return
    for record in records:
        try:
            with archive.open(record) as file:
                while file.read(2**20):
                    pass
        except (zipfile.BadZipFile, EOFError) as error:
            raise CheckpointError(
                f'{path} is damaged: the checksum of its record {record.filename} is wrong. Copy or download it again, '
                'or take an earlier checkpoint.'
            ) from error


def _check_memory(content: Any, path: Path) -> None:
    """Refuse tensors that claim far more memory than the file can hold, as expanded views of one number do."""
    try:
        claimed = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors_in(content))
    except CheckpointError as error:
        raise CheckpointError(f'{path} is refused: {error}') from None
    if claimed > _UNFOLDS_AT_MOST * path.stat().st_size + _SMALL:
        raise CheckpointError(
            f'{path} is refused: its tensors claim {claimed / 2**20:,.1f} MiB, and the file has '
            f'{path.stat().st_size / 2**20:,.1f} MiB.'
        )


def tensors_in(content: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts, lists and tuples, with its path, such as ``optimizer.state.0.exp_avg``.

    Raises:
        CheckpointError: They are nested deeper than any training state.
    """
    waiting: list[tuple[str, Any, int]] = [('', content, 0)]
    seen: set[int] = set()
    while waiting:
        place, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise CheckpointError(f'its parts are nested more than {_DEEPEST} deep.')
        if isinstance(value, Tensor):
            yield place, value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))  # a pickle may hold a list inside itself, or many times
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            waiting += [(f'{place}.{key}' if place else str(key), item, depth + 1) for key, item in items]


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [''])[0][:120] or type(error).__name__
        raise CheckpointError(f'Checkpoint {path} is not a complete safetensors file: {reason}') from error


class _ScriptObject:
    """Placeholder for a TorchScript module: its attributes without its code."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _ScriptUnpickler(pickle.Unpickler):
    """Unpickler for the attributes of a TorchScript archive; it can only call the function that makes tensor views."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._root = next(n for n in archive.namelist() if n.endswith('/data.pkl')).removesuffix('data.pkl')
        self._storages: dict[str, Tensor] = {}
        super().__init__(io.BytesIO(archive.read(self._root + 'data.pkl')))

    def find_class(self, module: str, name: str) -> Any:
        if module == '__torch__' or module.startswith('__torch__.'):
            return _ScriptObject
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return self._view
        if module == 'torch' and name in _SCRIPT_DTYPES:
            return _SCRIPT_DTYPES[name]
        if module == 'torch.jit._pickle' and name.startswith('build_'):
            return list
        if (module, name) == ('collections', 'OrderedDict'):
            return dict
        raise CheckpointError(
            f'Checkpoint {self._path} is refused: it names {module}.{name}, which has no place in a model archive '
            'and could run code.'
        )

    def persistent_load(self, pid: tuple) -> Tensor:
        _, dtype, key, _, _ = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(f'{self._root}data/{key}'))
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._storages[key]

    @staticmethod
    def _view(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
        return torch.as_strided(storage, size, stride, offset)


def _read_torchscript(path: Path, archive: zipfile.ZipFile) -> dict[str, Tensor]:
    try:
        root = _ScriptUnpickler(path, archive).load()
    except CheckpointError:
        raise
    except Exception as error:  # a hostile or damaged pickle can fail in any way
        reason = (str(error).splitlines() or [''])[0][:120] or type(error).__name__
        raise CheckpointError(f'Checkpoint {path} is a damaged TorchScript archive: {reason}') from error
    if not isinstance(root, _ScriptObject):
        raise CheckpointError(f'Checkpoint {path} is a TorchScript archive without a model in it.')
    tensors: dict[str, Tensor] = {}
    waiting, seen = [('', root)], {id(root)}
    while waiting:
        prefix, node = waiting.pop()
        for name, value in vars(node).items():
            if isinstance(value, Tensor):
                tensors[f'{prefix}{name}'] = value
            elif isinstance(value, _ScriptObject) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f'{prefix}{name}.', value))
    _check_memory(tensors, path)
    return tensors
