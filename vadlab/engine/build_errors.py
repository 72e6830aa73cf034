"""Turning what the Runner throws at a mistake in a config into one message."""

import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from vadlab.utils.errors import ConfigError, VADLabError
from vadlab.utils.suggest import nearest

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'missing \d+ required (?:positional|keyword-only) arguments?: (.+)')


@contextmanager
def config_mistakes() -> Iterator[None]:
    """Within it, a misspelled option, a missing one, or an unknown part is a :class:`ConfigError`.

    Only errors raised by the very call that builds a part count. One from inside a constructor is a fault of the
    program and passes unchanged.
    """
    try:
        yield
    except (TypeError, KeyError, ValueError) as error:
        if isinstance(error, VADLabError):
            raise
        frames = list(traceback.walk_tb(error.__traceback__))
        frame = frames[-1][0]
        text = str(error.args[0]) if error.args else ''
        if isinstance(error, TypeError) and (match := _UNEXPECTED.search(text)):
            target = _callee(frame)
            names = [p for p in inspect.signature(target).parameters if p != 'self'] if target else []
            where = target.__name__ if target else text.split('.')[0]
            hint = nearest(match[1], names) if names else ''
            if target is not None or frame.f_code.co_name.startswith('build'):
                raise ConfigError(f'{where} takes no option {match[1]!r}. {hint}') from error
        if isinstance(error, TypeError) and (match := _MISSING.search(text)) and (target := _callee(frame)):
            raise ConfigError(f'{target.__name__} needs {match[1]}, which the config does not give.') from error
        if isinstance(error, KeyError) and 'registry' in text:
            raise ConfigError(text.split('. Please check')[0] + '.') from error
        if isinstance(error, KeyError) and 'must contain the key "type"' in text:
            raise ConfigError(f'A part of the config has no type: {text[:300]}') from error
        if isinstance(error, ValueError) and frame.f_code.co_filename.endswith('mmengine/runner/runner.py'):
            raise ConfigError(text) from error
        raise


def _callee(frame) -> type | None:  # type: ignore[no-untyped-def]
    """The class that ``build_from_cfg``, whose frame this is, was calling."""
    target = frame.f_locals.get('obj_cls')
    return target if inspect.isclass(target) else None
