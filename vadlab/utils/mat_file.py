"""Reading ``.mat`` files (level 5) of unknown origin in plain Python: SciPy crashes on damaged ones."""

import math
import struct
import zlib
from collections.abc import Iterator
from os import PathLike

import numpy as np

from .errors import DataError, naming
from .text_file import MOST_BYTES, read_bytes

# MathWorks, "MAT-File Format", chapter 1: types of data elements, and classes of arrays.
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 9: 'f8', 12: 'i8', 13: 'u8'}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _FIRST_NUMBER, _LAST_NUMBER = 1, 6, 15
_DEEPEST = 8


def read_mat(path: str | PathLike[str], name: str) -> list | np.ndarray | None:
    """Read one variable.

    Args:
        path (str | PathLike): The file.
        name (str): Name of the variable.

    Returns:
        list | np.ndarray | None: An array of numbers; a list of arrays for a cell array; None if it is not in the file.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not a level 5 file, is damaged, or the variable is neither numbers nor cells of numbers.
    """
    raw = read_bytes(path)
    with naming(path, ' '):
        if len(raw) < 128 or raw[126:128] not in (b'IM', b'MI'):
            raise DataError('is not a MATLAB file of level 5. Newer ones are saved so by: save(name, var, "-v6")')
        order = '<' if raw[126:128] == b'IM' else '>'
        try:
            for kind, data in _elements(raw[128:], order):
                found = _matrix(_unpacked(data, order) if kind == _COMPRESSED else data, order, wanted=name)
                if found is not None:
                    return found
        except (struct.error, ValueError, KeyError, IndexError, OverflowError, zlib.error) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f'is damaged ({error})') from error
        return None


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of each data element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f'{order}II', data, at)
        if kind >> 16:  # small: up to four bytes are in the tag itself
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise DataError('is damaged (a small element of more than 4 bytes)')
            yield kind, data[at + 4 : at + 4 + size]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise DataError('is cut short or damaged')
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (-size % 8 if kind != _COMPRESSED else 0)


def _unpacked(data: bytes, order: str) -> bytes:
    inflated = zlib.decompressobj().decompress(data, MOST_BYTES)
    return next(_elements(inflated, order), (0, b''))[1]


def _matrix(data: bytes, order: str, wanted: str | None = None, depth: int = 0) -> list | np.ndarray | None:
    """Parse an array; None if its name is not the wanted one."""
    parts = _elements(data, order)
    (_, flags), (_, sizes), (_, label) = (next(parts, (0, b'')) for _ in range(3))
    if not flags or (wanted is not None and label.decode('latin-1') != wanted):
        return None if wanted is not None else np.empty(0)
    kind = struct.unpack_from(f'{order}I', flags)[0] & 0xFF
    shape = struct.unpack(f'{order}{len(sizes) // 4}i', sizes)
    if min(shape, default=0) < 0:
        raise DataError(f'is damaged (shape {shape})')
    if kind == _CELL and depth < _DEEPEST:
        cells = [_matrix(content, order, depth=depth + 1) for _, content in parts]
        if len(cells) != math.prod(shape):
            raise DataError(f'is damaged ({len(cells)} cells of {math.prod(shape)})')
        return cells
    if not _FIRST_NUMBER <= kind <= _LAST_NUMBER:
        raise DataError(f'holds an array of the class {kind}, not numbers')
    stored, content = next(parts, (2, b''))
    values = np.frombuffer(content, f'{order}{_TYPES[stored]}')
    return values.reshape(shape, order='F')
