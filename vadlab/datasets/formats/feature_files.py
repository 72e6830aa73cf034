"""Snippet features on disk: one ``.npy`` a video, or one a video and crop."""

import os
from typing import NamedTuple

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import map_npy, read_npy_header

_MAX_CROPS = 10  # ten-crop is the most that any public feature set has


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
            shape, _, dtype, _ = read_npy_header(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise DataError(f'cannot be read ({error.strerror})') from None
    if dtype.kind != 'f':
        raise DataError(f'holds {dtype}, not floating-point numbers')
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(f'has the shape {shape}; wanted (snippets, features) or (snippets, crops, features)')
    if len(shape) == 2:
        return FeatureShape(shape[0], None, shape[1])
    if shape[1] > _MAX_CROPS:
        raise DataError(f'has the shape {shape}; crops are the second of (snippets, crops, features)')
    return FeatureShape(*shape)


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
        return map_npy(path)
    except MissingFileError as error:
        raise DataError(f'{path} is gone') from error
