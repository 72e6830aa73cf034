"""Reading ``.npy`` files that hold a list of arrays, as NumPy saves arrays of Python objects, without running code."""

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError, MissingFileError
from .text_file import MOST_BYTES

_NUMBERS = 'biuf'  # kinds of dtypes


def read_npy_list(path: str | os.PathLike[str]) -> list[np.ndarray]:
    """Read a one-dimensional array whose elements are arrays of numbers.

    The elements are pickled. Of the pickle, only arrays, their dtypes and plain values are read; a reference to any
    other class or function is refused, and nothing is called.

    Args:
        path (str | PathLike): The file.

    Returns:
        list[np.ndarray]: The elements, of any shapes.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such a file, is damaged, or refers to something else than arrays of numbers.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f'There is no file {path}')
    if not path.is_file():
        raise DataError(f'{path} is not a regular file')
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f'{path} has {path.stat().st_size:,} bytes; the limit is {MOST_BYTES:,}')
    try:
        with open(path, 'rb') as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if not dtype.hasobject or len(shape) != 1:
                raise DataError(f'{path} holds {dtype} of shape {shape}, no list of arrays')
            content = _Unpickler(file).load()
        elements = content.elements() if isinstance(content, _Array) else None
        if elements is None or len(elements) != shape[0]:
            raise DataError(f'{path} holds no list of {shape[0]} arrays')
        return [_array_of(element) for element in elements]
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f'{path}: {error}') from error
    except Exception as error:  # a hostile or damaged pickle can fail in any way
        reason = repr(str(error))[:200] if str(error) else type(error).__name__
        raise DataError(f'{path} is damaged, or is no list of arrays: {reason}') from error


class _Type:
    """A dtype, as its pickle describes it."""

    def __init__(self, code: str = '', *_: Any) -> None:
        self.code, self.order = code, '='

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        found = np.dtype(str(self.code)[:8])
        if found.kind not in _NUMBERS and not found.hasobject:
            raise DataError(f'it holds arrays of {found}, no numbers')
        return np.dtype(f'{self.order}{found.str[1:]}') if self.order in ('<', '>') else found


class _Array:
    """An array, as its pickle describes it."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def elements(self) -> list[Any]:
        """The elements of an array of objects.

        Raises:
            DataError: It is another array.
        """
        _, shape, kind, _, content = self.state
        if not (isinstance(kind, _Type) and kind.dtype().hasobject and isinstance(content, list) and len(shape) == 1):
            raise DataError('it is no list')
        return content

    def numbers(self) -> np.ndarray:
        """The array of numbers.

        Raises:
            DataError: It is another array.
        """
        _, shape, kind, is_fortran, content = self.state
        dtype = kind.dtype() if isinstance(kind, _Type) else np.dtype(object)
        if dtype.hasobject:
            if isinstance(content, list) and not content:  # an empty list became an empty array of objects
                return np.zeros(0)
            raise DataError('its elements hold Python objects')
        if not isinstance(content, bytes) or len(content) != math.prod(shape) * dtype.itemsize:
            raise DataError(f'an array of shape {str(shape)[:60]!r} has not the bytes for it')
        return np.frombuffer(content, dtype).reshape(shape, order='F' if is_fortran else 'C')


def _array_of(element: Any) -> np.ndarray:
    if isinstance(element, _Array):
        return element.numbers()
    if isinstance(element, list) and not element:
        return np.zeros(0)
    raise DataError(f'an element is a {type(element).__name__}, no array')


def _latin(text: str, encoding: str) -> bytes:
    """Bytes, which old pickles hold as text."""
    return text.encode('latin-1' if encoding == 'latin1' else 'ascii')


_KNOWN = {
    **{(f'numpy.{core}.multiarray', '_reconstruct'): _Array for core in ('core', '_core')},
    ('numpy', 'ndarray'): object,
    ('numpy', 'dtype'): _Type,
    ('_codecs', 'encode'): _latin,
}


class _Unpickler(pickle.Unpickler):
    """Puts descriptions in the place of arrays and dtypes."""

    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module, name))
        if found is None:
            raise DataError(f'it refers to {f"{module}.{name}"[:120]!r}, which is no array of numbers')
        return found
