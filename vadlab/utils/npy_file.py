"""Reading ``.npy`` and ``.npz`` files of unknown origin."""

import io
import lzma
import math
import os
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from .errors import DataError, MissingFileError, naming
from .text_file import MOST_BYTES

_MAGIC = b'\x93NUMPY'
_MOST_HEADER_BYTES = 10_000  # NumPy's own limit
# What NumPy raises for a header that it cannot parse.
_DAMAGE = (
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    OverflowError,
    MemoryError,
    IndexError,
    AttributeError,
)
# What zipfile raises for archives that are damaged, encrypted or compressed by an unsupported method.
ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
)


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array of numbers or of text.

    Args:
        path (str | PathLike): The file.

    Returns:
        np.ndarray: Any shape, any dtype except Python objects.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, is empty, is not an ``.npy`` file, is cut short, or holds Python objects. The
            message names the file.
    """
    with _open(path) as file, naming(path, ' '):
        return _read(file, os.fstat(file.fileno()).st_size)


def map_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Map an array into memory, read-only; data is read from disk when it is used.

    Raises:
        MissingFileError, DataError: See :func:`read_npy`.
    """
    with _open(path) as file, naming(path, ' '):
        header = read_npy_header(file, os.fstat(file.fileno()).st_size)
        if 0 in header.shape:  # nothing to map
            return np.empty(header.shape, header.dtype)
        try:
            order = 'F' if header.is_fortran else 'C'
            return np.memmap(file, header.dtype, 'r', header.start, header.shape, order)  # type: ignore[call-overload]
        except (OSError, *_DAMAGE) as error:
            raise DataError(f'cannot be mapped into memory: {error}') from error


def open_npz(path: str | os.PathLike[str]) -> dict[str, Callable[[], np.ndarray]]:
    """The arrays of an ``.npz`` file by name, each as a function that reads it.

    The functions verify the archive's checksum and raise :class:`DataError` if an array cannot be read.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not an ``.npz`` file, or is cut short.
    """
    _open(path).close()  # raises if there is no such file
    try:
        archive = zipfile.ZipFile(path)
        names = archive.namelist()
    except ZIP_DAMAGE as error:
        raise DataError(f'{path} is not an .npz file, or is cut short') from error
    return {name.removesuffix('.npy'): partial(_read_entry, archive, name, path) for name in names}


def _read_entry(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> np.ndarray:
    with naming(f'{path}: the array {name.removesuffix(".npy")[:100]!r}', ' '):
        try:
            size = archive.getinfo(name).file_size
            if size > MOST_BYTES:
                raise DataError(f'has {size:,} bytes when unpacked; the limit is {MOST_BYTES:,}')
            with archive.open(name) as file:
                array = _read(file, size)
                file.read()  # zipfile verifies the checksum at the end
                return array
        except DataError:
            raise
        except ZIP_DAMAGE as error:
            raise DataError(f'is damaged ({error})') from error


class NpyHeader(NamedTuple):
    """Header of an ``.npy`` file.

    Attributes:
        shape (tuple[int, ...]): Shape of the array.
        is_fortran (bool): Whether the first index changes fastest.
        dtype (np.dtype): Type of its numbers.
        start (int): Offset of the first number in the file, in bytes.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    start: int


def read_npy_header(file: IO[bytes], size: int) -> NpyHeader:
    """Read an ``.npy`` file up to its first number, and check the file's size against the header.

    Args:
        file (IO): The file, at its beginning.
        size (int): Size of the whole file, in bytes.

    Raises:
        DataError: It is not an ``.npy`` file, is cut short or holds Python objects. The message does not name the file.
    """
    start = file.read(len(_MAGIC) + 4)
    if not start:
        raise DataError('is empty')
    if start[: len(_MAGIC)] != _MAGIC:
        raise DataError('is not an .npy file')
    # Version 1 stores the header's length in two bytes, later versions in four.
    start += b'' if start[len(_MAGIC) : len(_MAGIC) + 1] == b'\1' else file.read(2)
    length = int.from_bytes(start[len(_MAGIC) + 2 :], 'little')
    if length > _MOST_HEADER_BYTES:
        raise DataError('is damaged: its header cannot be read')
    header = start + file.read(length)
    shape, is_fortran, dtype = _parse(header)
    if dtype.hasobject:
        raise DataError('holds Python objects, no numbers')
    if any(n < 0 for n in shape) or not dtype.itemsize:
        raise DataError(f'is damaged: shape {str(shape)[:60]} of {str(dtype)[:60]}')
    need = len(header) + math.prod(shape) * dtype.itemsize
    if size < need:
        raise DataError(f'is cut short: {size:,} of {need:,} bytes')
    return NpyHeader(shape, is_fortran, dtype, len(header))


@lru_cache(4096)
def _parse(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse a header. Cached: 40,000 files have a few hundred distinct headers, and NumPy's parser is slow."""
    file = io.BytesIO(header)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(file)
            return np.lib.format.read_array_header_2_0(file)
    except _DAMAGE as error:
        raise DataError('is damaged: its header cannot be read') from error


def _read(file: IO[bytes], size: int) -> np.ndarray:
    header = read_npy_header(file, size)
    try:
        array = np.empty(header.shape, header.dtype, 'F' if header.is_fortran else 'C')
        there = file.readinto(array.ravel('K').view(np.uint8)) if array.size else 0  # type: ignore[attr-defined]
    except (OSError, *_DAMAGE) as error:
        raise DataError(f'cannot be read ({error})') from error
    if there != array.nbytes:
        raise DataError(f'is cut short: {there:,} of {array.nbytes:,} bytes of numbers')
    return array


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    try:
        if not Path(path).exists():
            raise MissingFileError(f'There is no file {path}')
        if not Path(path).is_file():  # opening a pipe without a writer would block
            raise DataError(f'{path} is not a regular file')
        return open(path, 'rb')
    except OSError as error:
        if isinstance(error, MissingFileError):
            raise
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
