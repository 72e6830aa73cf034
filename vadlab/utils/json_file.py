"""Reading JSON of unknown origin, and writing it atomically."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .atomic import atomic_path
from .errors import DataError
from .text_file import decode_text, read_bytes, read_text, split_lines

_DEEPEST = 64  # levels of nested lists and objects
_LONGEST_NUMBER = 19  # digits of the largest 64-bit integer
_NO_TEXT = re.compile(r'\\u(0000|[dD][89a-fA-F])')


def read_json(path: str | os.PathLike[str], unique_keys: bool = False) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Refused here, so that no reader has to check for it: numbers that are not finite, integers beyond 64 bits, more
    than 64 levels of nesting, and strings with a zero byte or an unpaired surrogate (half of a character).

    Args:
        path (str | PathLike): The file.
        unique_keys (bool): Refuse an object with a repeated key; otherwise the last value counts.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, or is not such JSON; the message names the place.
    """
    return parse_json(read_text(path), str(path), unique_keys)


def parse_json(text: str, source: str, unique_keys: bool = False, is_finite: bool = True) -> Any:
    """Parse JSON text as :func:`read_json` does; ``source`` names it in messages.

    Raises:
        DataError: It is not such JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise _RefusedError(f'the key {twice!r} is there twice', json.dumps(twice, ensure_ascii=False))
        return found

    try:
        content = json.loads(
            text,
            parse_int=_whole_number,
            parse_float=_number if is_finite else float,
            parse_constant=_number if is_finite else float,
            object_pairs_hook=unique if unique_keys else None,
        )
    except json.JSONDecodeError as error:
        raise DataError(f'{source} is not valid JSON: {error.msg}, line {error.lineno} column {error.colno}') from error
    except _RefusedError as error:
        line = text.count('\n', 0, text.find(error.token)) + 1
        raise DataError(f'{source} cannot be used: line {line}: {error}') from error
    except RecursionError:
        content = None
        is_deep = True
    else:
        is_deep = _is_deep(content)
    if is_deep:
        raise DataError(f'{source} cannot be used: its lists and objects are more than {_DEEPEST} deep')
    if _NO_TEXT.search(text):
        bad = next((part for part in _texts(content) if re.search('[\0\ud800-\udfff]', part)), None)
        if bad is not None:
            raise DataError(f'{source} cannot be used: {bad[:60]!a} holds a zero byte or half of a character')
    return content


def read_json_lines(
    path: str | os.PathLike[str], is_finite: bool = True, is_ended: bool = False
) -> list[tuple[int, Any]]:
    """Line numbers and values of a JSON Lines file, each read as :func:`read_json` does.

    A last line without a line break is skipped if it is not valid JSON: a killed program leaves such a line.

    Args:
        path (str | PathLike): The file.
        is_finite (bool): Refuse NaN and infinity.
        is_ended (bool): Skip a last line without a line break even if it is valid JSON.

    Raises:
        MissingFileError, DataError: See :func:`read_json`.
    """
    raw = read_bytes(path)
    end = raw.rfind(b'\n') + 1
    lines = split_lines(decode_text(raw[:end], path))
    found = [
        (number, parse_json(line, f'{path}, line {number}', is_finite=is_finite))
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not is_ended:
        try:
            found.append((len(lines) + 1, parse_json(decode_text(raw[end:], path), str(path), is_finite=is_finite)))
        except DataError:
            pass
    return found


def shape_fault(content: Any, shape: Any, place: str = '') -> str | None:
    """The first difference between JSON and the shape that a reader needs, as a phrase; None if it fits.

    >>> shape_fault({'boxes': [{'x': 1}, {'x': 'a'}]}, {'boxes': [{'x': float, 'label?': str}]})
    "boxes[1].x is 'a', not a number"

    Args:
        content (Any): What :func:`read_json` returned.
        shape (Any): ``str``, ``int``, ``float`` (integers fit, too) or ``bool``; ``Any``; a list with one shape, for
            all entries; a dict of shapes by key, where a key that ends in ``?`` may be missing or null;
            ``{str: shape}`` for an object with any keys; or a tuple of shapes, one of which must fit.
        place (str): Path of ``content`` inside the file, for the phrase.
    """
    if isinstance(shape, tuple):
        faults = [shape_fault(content, one, place) for one in shape]
        return None if None in faults else faults[0]
    where = place or 'it'
    if isinstance(shape, list):
        if not isinstance(content, list):
            return f'{where} is {_shown(content)}, not a list'
        children = ((entry, shape[0], f'{place}[{i}]') for i, entry in enumerate(content))
    elif isinstance(shape, dict):
        if not isinstance(content, dict):
            return f'{where} is {_shown(content)}, not an object'
        if str in shape:
            children = ((entry, shape[str], f'{place}.{key}'.lstrip('.')) for key, entry in content.items())
        else:
            for key in shape:
                if not key.endswith('?') and key not in content:
                    return f'{where} has no {key!r}'
            children = (
                (content[name], part, f'{place}.{name}'.lstrip('.'))
                for key, part in shape.items()
                if (name := key.removesuffix('?')) in content and not (key.endswith('?') and content[name] is None)
            )
    else:
        kinds = (int, float) if shape is float else shape
        is_other = shape is not Any and (
            not isinstance(content, kinds) or (isinstance(content, bool) and shape is not bool)
        )
        return f'{where} is {_shown(content)}, not {_KINDS[shape]}' if is_other else None
    return next((fault for child in children if (fault := shape_fault(*child))), None)


_KINDS = {str: 'a text', int: 'a whole number', float: 'a number', bool: 'true or false'}


def _shown(content: Any) -> str:
    return 'null' if content is None else repr(content)[:60]


class _RefusedError(ValueError):
    def __init__(self, why: str, token: str) -> None:
        super().__init__(why)
        self.token = token


def _whole_number(text: str) -> int:
    if len(text.lstrip('-')) > _LONGEST_NUMBER or not -(2**63) <= int(text) < 2**63:
        raise _RefusedError(f'a whole number of {len(text)} digits ({text[:20]}...)', text)
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise _RefusedError(f'{text[:20]} is not a finite number', text)
    return value


def _is_deep(content: Any) -> bool:
    level = [content] if isinstance(content, (dict, list)) else []
    for _ in range(_DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from content
    for child in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _texts(child)


def write_json(path: str | Path, content: Any, is_new: bool = False, **options: Any) -> None:
    r"""Write a JSON file atomically, with the permissions that any new file gets.

    Args:
        path (str | Path): The file; missing folders are made.
        content (Any): What ``json.dump`` takes, except NaN, which is not JSON. Bytes of file names that are not UTF-8
            are written as escapes (``\udce9``).
        is_new (bool): Replace nothing.
        **options (Any): Further arguments of ``json.dump``.

    Raises:
        FileExistsError: With ``is_new``, the file exists.
    """
    with atomic_path(path, is_new) as part, part.open('w', encoding='utf-8', errors='backslashreplace') as file:
        json.dump(content, file, indent=2, allow_nan=False, ensure_ascii=False, **options)
        file.write('\n')
