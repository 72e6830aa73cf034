"""Natural order of file names: ``2.jpg`` before ``10.jpg``."""

import os
import re
from collections.abc import Iterable
from typing import TypeVar

_Name = TypeVar('_Name', bound=str | os.PathLike)
_NUMBER = re.compile(r'([0-9]+)')


def natural_key(name: str | os.PathLike) -> tuple:
    """Sort key for file names and paths: folder by folder, with numbers compared as numbers.

    Names that differ only in leading zeros (``1``, ``01``) have a fixed order.

    >>> sorted(['10.jpg', '2.jpg', 'b/1.jpg', '01.jpg'], key=natural_key)
    ['01.jpg', '2.jpg', '10.jpg', 'b/1.jpg']

    Args:
        name (str | os.PathLike): A name, or a path with ``/`` or the system's separator.
    """
    text = os.fspath(name)
    text = os.fsdecode(text).replace(os.sep, '/')
    parts = []
    for part in text.split('/'):
        # Words and numbers alternate, so a word is never compared with a number. Digits are compared by length and then
        # as text, which works for numbers of any length.
        pieces = _NUMBER.split(part)
        numbers = [(len(digits.lstrip('0')), digits.lstrip('0')) for digits in pieces[1::2]]
        parts.append(tuple(piece for pair in zip(pieces[::2], [*numbers, (0, '')], strict=True) for piece in pair))
    return tuple(parts), text


def natural_sorted(names: Iterable[_Name]) -> list[_Name]:
    """Names or paths in natural order, see :func:`natural_key`."""
    return sorted(names, key=natural_key)
