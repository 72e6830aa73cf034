"""Snippet features on disk: one ``.npy`` file per video, or per video and crop."""

import os
from typing import NamedTuple

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import map_npy, read_npy_header

_MAX_CROPS = 10  # no public feature set has more than ten crops


class FeatureShape(NamedTuple):
    """Shape of the features in a file, from its header.

    Attributes:
        num_snippets (int): T, > 0.
        num_crops (int | None): C if the file holds all crops of its video, shape (T, C, D); None if it holds one,
            shape (T, D).
        feature_dim (int): D, > 0.
    """

    num_snippets: int
    num_crops: int | None
    feature_dim: int


def read_feature_shape(path: str) -> FeatureShape:
    """Read the header of a feature file, and check the file's size against it, without reading the features.

    Args:
        path (str): The ``.npy`` file.

    Raises:
        DataError: It is not an ``.npy`` file, is cut short, holds something else than floats, or is not of shape (T, D)
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
    """Map a feature file into memory, read-only; data is read from disk when it is used.

    Args:
        path (str): The ``.npy`` file.

    Returns:
        np.ndarray: A memory map, floating point, shape (T, D) or (T, C, D).

    Raises:
        DataError: It was removed or damaged after the data set was read.
    """
    try:
        return map_npy(path)
    except MissingFileError as error:
        raise DataError(f'{path} is gone') from error
