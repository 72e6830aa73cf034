"""Reading the config in a checkpoint as data, without executing it."""

import ast
import math
import warnings
from typing import Any

from vadlab.utils.errors import CheckpointError

# The largest experiment of this repository has a config of 20 kB.
_MOST_CHARACTERS = 2**22
_NUMBERS = {'inf': math.inf, 'nan': math.nan}


def read_saved_config(text: str, name: str) -> dict[str, Any]:
    r"""Values of a config that was saved as Python assignments.

    Allowed are numbers, strings, None, lists, tuples, sets, dicts and ``dict(...)``. Checkpoints are not trusted, so
    the text is only parsed, never run.

    Args:
        text (str): A config as MMEngine formats it: lines of ``key = value``.
        name (str): Name of the file, for messages.

    Returns:
        dict[str, Any]: Values by key.

    Raises:
        CheckpointError: It is not text, too long, not Python, or holds anything but assignments of plain values.

    Example:
        >>> read_saved_config('lr = -0.1\nmodel = dict(type="X", sizes=[1, 2])', 'epoch_1.pth')
        {'lr': -0.1, 'model': {'type': 'X', 'sizes': [1, 2]}}
    """
    where = f"{name}: its saved config (meta['cfg'])"
    if not isinstance(text, str):
        raise CheckpointError(f'{where} is of type {type(text).__name__}, not text.')
    if len(text) > _MOST_CHARACTERS:
        raise CheckpointError(f'{where} has {len(text):,} characters; at most {_MOST_CHARACTERS:,} are read.')
    values: dict[str, Any] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about invalid escapes in strings
            body = ast.parse(text).body
        for node in body:
            target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
            if not isinstance(node, ast.Assign) or not isinstance(target, ast.Name):
                raise _NotPlainError(node)
            values[target.id] = _value(node.value)
    except _NotPlainError as error:
        raise CheckpointError(
            f'{where} has more than assignments of plain values in line {error.line}. It is data and is never run.'
        ) from None
    # The parser's limits of depth and of digits raise errors of other types.
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = (str(error).splitlines() or [''])[0][:100] or type(error).__name__
        raise CheckpointError(f'{where} cannot be parsed: {reason}.') from error
    return values


class _NotPlainError(Exception):
    def __init__(self, node: ast.AST) -> None:
        super().__init__()
        self.line = getattr(node, 'lineno', 1)


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple() | ast.Set():
            kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
            return kind(_value(item) for item in node.elts)
        case ast.Dict() if None not in node.keys:
            return {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
        # MMEngine writes dict({...}) if a key is not a valid name.
        case ast.Call(func=ast.Name(id='dict'), args=[] | [ast.Dict()]) if all(k.arg for k in node.keywords):
            positional = _value(node.args[0]) if node.args else {}
            return positional | {k.arg: _value(k.value) for k in node.keywords}
        case ast.Call(func=ast.Name(id='set'), args=[], keywords=[]):
            return set()
        case ast.Name(id='inf' | 'nan'):
            return _NUMBERS[node.id]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            number = _value(node.operand)
            if isinstance(number, int | float):
                return -number if isinstance(node.op, ast.USub) else number
    raise _NotPlainError(node)
