"""Parsing the words after ``--cfg-options``, and setting them in a config."""

import ast
import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from .errors import ConfigError
from .suggest import nearest

_WORDS = {'None': None, 'True': True, 'true': True, 'False': False, 'false': False}
_CLOSING = {'(': ')', '[': ']', '{': '}'}


def parse_cfg_options(pairs: list[str] | None) -> dict[str, Any]:
    """Turn the ``key=value`` words after ``--cfg-options`` into a dict.

    A value is a Python literal (``0.1``, ``None``, ``"a b"``, ``['a b', 'c']``, ``{'a': 1}``, ``dict(a=1)``), or a list
    of bare words (``a,b`` or ``[a,b]``; ``(a,b)`` is a tuple). Anything else is a string, kept as it is. Quotes
    make a string of a number or a list: ``"'007'"``, ``"'a,b'"``.

    Raises:
        ConfigError: A word without ``=``, or a dict or quoted string that cannot be read.
    """
    options: dict[str, Any] = {}
    for pair in pairs or []:
        key, sign, text = pair.partition('=')
        if not sign or not key:
            raise ConfigError(f'--cfg-options takes key=value, got {pair!r} (no spaces around "=").')
        try:
            options[key] = _value(text)
        except ValueError as error:
            raise ConfigError(f'--cfg-options {key}: {error}') from error
    return options


def _value(text: str) -> Any:
    """The value that a text denotes."""
    word = text.strip()
    if word in _WORDS:
        return _WORDS[word]
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            pass
    elements = split_list(word)
    if len(elements) > 1:
        return [_value(e.strip()) for e in elements if e.strip()]
    literal = word.startswith(('[', '(', '{', '"', "'", 'dict(')) and _is_whole(word)
    if not literal:
        return text
    try:
        return _literal(ast.parse(word, mode='eval').body)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        if word[0] in '[(':
            inside = [_value(e.strip()) for e in split_list(word[1:-1]) if e.strip()]
            return tuple(inside) if word[0] == '(' else inside
        what = 'a string' if word[0] in '\'"' else 'a dict'
        raise ValueError(f'{word} cannot be read as {what}; write it as Python does, names in quotes.') from error


def _literal(node: ast.expr) -> Any:
    """A literal, in which a dict may also be written as ``dict(a=1)``."""
    match node:
        case ast.List():
            return [_literal(e) for e in node.elts]
        case ast.Tuple():
            return tuple(_literal(e) for e in node.elts)
        case ast.Dict(keys=keys) if None not in keys:
            return {_literal(k): _literal(v) for k, v in zip(keys, node.values, strict=True) if k is not None}
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=words) if all(w.arg for w in words):
            return {str(w.arg): _literal(w.value) for w in words}
        case ast.Name(id='inf' | 'nan'):
            return float(node.id)
        case ast.UnaryOp(op=ast.USub()) if type(number := _literal(node.operand)) in (int, float):
            return -number
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return node.value
    raise ValueError(f'{ast.unparse(node)} is not a literal')


def _spans(text: str) -> list[int]:
    """For each character, how many brackets and quotes are open after it; empty if one stays open or has no start."""
    depths, expected, quote, previous, escaped = [], [], '', ',', False
    for char in text:
        if quote:
            if char == quote and not escaped:
                quote = ''
            escaped = char == '\\' and not escaped
        elif char in '\'"' and previous in ',([{:=':  # elsewhere it is an apostrophe
            quote = char
        elif char in _CLOSING:
            expected.append(_CLOSING[char])
        elif expected and char == expected[-1]:
            expected.pop()
        elif char in ')]}':
            return []
        if not char.isspace():
            previous = char
        depths.append(len(expected) + bool(quote))
    return [] if expected or quote else depths


def split_list(text: str) -> list[str]:
    """A text split at its commas outside brackets and quotes; not split if these are unbalanced.

    >>> split_list('a,[b,c]')
    ['a', '[b,c]']
    """
    depths = _spans(text)
    cuts = [-1, *(i for i, depth in enumerate(depths) if depth == 0 and text[i] == ','), len(text)]
    return [text[a + 1 : b] for a, b in zip(cuts, cuts[1:], strict=False)]


def _is_whole(word: str) -> bool:
    """Whether the bracket or quote that a word starts with is closed by its last character."""
    depths = _spans(word)
    return bool(depths) and 0 not in depths[word.find('(') if word.startswith('dict(') else 0 : -1]


def set_option(values: Any, key: str, value: Any, known: frozenset[str] = frozenset()) -> None:
    """Set ``a.b.c`` where ``a.b`` exists, in place.

    Args:
        values (Any): A config's dict.
        key (str): Dotted key; an integer indexes a list.
        value (Any): The new value; merged if it and the old value are dicts, unless it has ``_delete_=True``.
        known (frozenset[str]): Names that may be set even if ``values`` does not have them.

    Raises:
        ConfigError: The place does not exist.
    """
    *parents, last = key.split('.')
    node = values
    for i, part in enumerate(parents):
        node = _step(node, part, '.'.join(parents[:i]), key)
        if not isinstance(node, (dict, list, tuple)):
            where = '.'.join(parents[: i + 1])
            raise ConfigError(f'--cfg-options {key}: {where} is {node!r}, which has nothing inside it to set.')
    if isinstance(node, tuple):
        raise ConfigError(
            f'--cfg-options {key}: a tuple cannot be changed in part; set {".".join(parents)} as a whole.'
        )
    if isinstance(node, list):
        _step(node, last, '.'.join(parents), key)
        node[int(last)] = value
        return
    if not parents and last not in node and last not in known:
        raise ConfigError(f'--cfg-options {key}: no such key. {nearest(last, sorted({*node, *known}), limit=12)}')
    old = node.get(last)
    if isinstance(value, Mapping):
        value = copy.deepcopy(dict(value))
        if not isinstance(old, dict) or value.get('_delete_'):
            old = {}
        try:
            value = _without_delete(Config._merge_a_into_b(value, old))
        except (TypeError, KeyError) as error:
            raise ConfigError(f'--cfg-options {key}: cannot be merged into what is there: {error}') from error
    node[last] = value


def _without_delete(value: Any) -> Any:
    """Remove ``_delete_`` from dicts that had nothing to replace, in place."""
    if isinstance(value, dict):
        value.pop('_delete_', None)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _without_delete(inner)
    return value


def _step(node: Any, part: str, where: str, key: str) -> Any:
    place = f'{where} has' if where else 'there is'
    if isinstance(node, (list, tuple)):
        if not part.isdecimal() or int(part) >= len(node):
            raise ConfigError(
                f'--cfg-options {key}: {where} is a list of {len(node)}; {part!r} is not an index into it.'
            )
        return node[int(part)]
    if part not in node:
        raise ConfigError(
            f'--cfg-options {key}: {place} no {part!r}. {nearest(part, sorted(map(str, node)), limit=12)}'
        )
    return node[part]
