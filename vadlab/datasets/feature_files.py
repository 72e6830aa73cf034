"""Snippet features on disk: one ``.npy`` a video, or one a video and crop."""

import io
import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..utils.errors import DataError

_MAX_CROPS = 10  # ten-crop is the most that any public feature set has
_HEADER_BYTES = 512  # that of an array of features takes 80 or 128


class FeatureShape(NamedTuple):
    """What the header of a feature file says.

    Attributes:
        num_snippets (int): T, > 0.
        num_crops (int | None): C where the file holds all crops of its video, shape (T, C, D); None where it holds
            one, shape (T, D).
        feature_dim (int): D, > 0.
    """

    num_snippets: int
    num_crops: int | None
    feature_dim: int


def read_feature_shape(path: str) -> FeatureShape:
    """Read a feature file's header, and hold the file's size to it; the features themselves are not read.

    Args:
        path (str): The ``.npy`` file.

    Raises:
        DataError: It is no ``.npy`` file, is cut short, holds something else than floats, or is not of shape (T, D)
            or (T, C, D). The message does not name the file.
    """
    try:
        with open(path, 'rb') as file:
            shape, dtype, start = _parse_header(file.read(_HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
    except ValueError:
        raise DataError('is no .npy file, or is damaged') from None
    except OSError as error:
        raise DataError(f'cannot be read ({error.strerror})') from None
    if dtype.kind != 'f':
        raise DataError(f'holds {dtype}, not floating-point numbers')
    need = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size < need:
        raise DataError(f'is cut short: {size:,} of {need:,} bytes')
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(f'has the shape {shape}; wanted (snippets, features) or (snippets, crops, features)')
    if len(shape) == 2:
        return FeatureShape(shape[0], None, shape[1])
    if shape[1] > _MAX_CROPS:
        raise DataError(f'has the shape {shape}; crops are the second of (snippets, crops, features)')
    return FeatureShape(*shape)


def _parse_header(start: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and place of the first number.

    Raises:
        ValueError: These bytes do not begin a ``.npy`` file.
    """
    version = np.lib.format.read_magic(io.BytesIO(start))
    length = 10 + int.from_bytes(start[8:10], 'little') if version == (1, 0) else 0
    if not length or length > len(start):
        raise ValueError(f'.npy version {version} with a header of {length} bytes')
    return _parse(start[:length])


@lru_cache(4096)
def _parse(header: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """As above; sets of 40,000 files have a few hundred lengths, and NumPy's parser takes its time."""
    file = io.BytesIO(header[8:])
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype, len(header)


def open_features(path: str) -> np.ndarray:
    """Map a feature file into memory, read-only: only what is looked at is read from disk.

    Args:
        path (str): The ``.npy`` file.

    Returns:
        np.ndarray: A memory map, floating point, shape (T, D) or (T, C, D).

    Raises:
        DataError: It is gone or damaged since the data set was read.
    """
    try:
        return np.lib.format.open_memmap(path, mode='r')
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f'{path} cannot be read: {error}') from error
