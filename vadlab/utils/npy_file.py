"""Reading ``.npy`` files of unknown origin."""

from pathlib import Path

import numpy as np

_MAGIC = b'\x93NUMPY'


def read_npy(path: str | Path) -> np.ndarray:
    """Read an array of numbers; what cannot be read is told in words that do not need NumPy's source.

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: The array, of any shape and type but Python objects.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is empty, no ``.npy`` file, cut short, or holds Python objects. Callers add the name.
    """
    with Path(path).open('rb') as file:
        start = file.read(len(_MAGIC))
    if not start:
        raise ValueError('the file is empty')
    if start != _MAGIC:
        raise ValueError('the file is no .npy file')
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        if 'allow_pickle' in str(error):
            raise ValueError('the file holds Python objects, no numbers') from error
        raise ValueError(f'the file is cut short or damaged ({error})') from error
