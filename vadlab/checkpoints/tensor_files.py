"""Reading tensors from files that are not trusted: nothing in them is ever executed."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vadlab.utils.errors import CheckpointError, MissingFileError
from vadlab.utils.safe_globals import HARMLESS_GLOBALS

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


def read_tensor_file(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a ``.safetensors``, ``.pth`` / ``.pt`` / ``.bin`` or TorchScript file holds.

    Args:
        path (str | Path): The file.

    Returns:
        tuple: The object that was saved (a dict, by name, often of tensors), and the metadata of a safetensors file.

    Raises:
        MissingFileError: No such file.
        CheckpointError: It is damaged, of no known kind, or holds objects other than plain data, which could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'Checkpoint {path} does not exist.')
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith('/constants.pkl') for name in archive.namelist()):
                return _read_torchscript(path, archive), {}
    try:
        with torch.serialization.safe_globals(HARMLESS_GLOBALS):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        lines = str(error).splitlines() or ['']
        reason = next((line for line in lines if 'GLOBAL' in line or 'nsupported' in line), lines[0])
        raise CheckpointError(
            f'Checkpoint {path} is refused: it is damaged, or holds more than tensors and plain data, and loading it '
            f'could run code ({reason.strip()}). Save only the state dict, best as safetensors.'
        ) from error
    except Exception as error:  # a file of anything at all may stop the reader in any way
        raise CheckpointError(f'Checkpoint {path} cannot be read, it may be cut short: {_first_line(error)}') from error
    if not isinstance(content, dict):
        raise CheckpointError(f'Checkpoint {path} holds a {type(content).__name__}, not a dict of tensors.')
    return content, {}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f'Checkpoint {path} is no whole safetensors file: {_first_line(error)}') from error


class _ScriptObject:
    """Stands for a TorchScript module: its attributes, none of its code."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _ScriptUnpickler(pickle.Unpickler):
    """Reads the attributes of a TorchScript archive; the only thing it can call is the making of a tensor view."""

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
        raise CheckpointError(f'Checkpoint {path} is a damaged TorchScript archive: {_first_line(error)}') from error
    tensors: dict[str, Tensor] = {}

    def collect(node: Any, prefix: str) -> None:
        for name, value in vars(node).items():
            if isinstance(value, Tensor):
                tensors[prefix + name] = value
            elif isinstance(value, _ScriptObject):
                collect(value, f'{prefix}{name}.')

    if not isinstance(root, _ScriptObject):
        raise CheckpointError(f'Checkpoint {path} is a TorchScript archive without a model in it.')
    collect(root, '')
    return tensors
