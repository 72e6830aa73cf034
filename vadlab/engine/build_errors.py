"""Convert exceptions raised while a config is built to a ConfigError with one message.

:mod:`~vadlab.utils.config_check` finds unknown options, wrong types and ranges earlier. Two kinds of errors appear only
when a component is built: a missing option, and a value that a class of MMEngine or torch refuses.
"""

import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from vadlab.utils.errors import ConfigError, VADLabError

_MISSING = re.compile(r'missing \d+ required (?:positional|keyword-only) arguments?: (.+)')
#: Files of MMEngine and torch that check what a config gives them.
_OF_THE_RUN = ('mmengine/runner/runner.py', 'mmengine/runner/priority.py', 'torch/utils/data/dataloader.py')
_LIBRARIES = ('mmengine', 'mmcv', 'mmdet', 'torch')


@contextmanager
def config_mistakes() -> Iterator[None]:
    """Context in which a missing option, or one that a library's class refuses, raises :class:`ConfigError`.

    Only errors of the call that builds a component are converted. An error inside a constructor of VADLab or of the
    user is a bug in the program, and is raised unchanged.
    """
    try:
        yield
    except (TypeError, KeyError, ValueError, AssertionError) as error:
        if isinstance(error, VADLabError):
            raise
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        text = str(error.args[0]) if error.args else ''
        target = _callee(frames[-1])
        if isinstance(error, TypeError) and target is not None and (match := _MISSING.search(text)):
            raise ConfigError(f'{target.__name__} needs {match[1]}, which the config does not set.') from error
        if isinstance(error, KeyError) and 'registry' in text:
            raise ConfigError(text.split('. Please check')[0] + '.') from error
        if isinstance(error, KeyError) and 'must contain the key "type"' in text:
            raise ConfigError(f'A component of the config has no type: {text[:300]}') from error
        raised_in = frames[-1].f_code.co_filename
        if isinstance(error, TypeError | ValueError) and raised_in.endswith(_OF_THE_RUN):
            raise ConfigError(
                text.split(', but got')[0].rstrip('.') + '.'
            ) from error  # what it got is whole parts of the config
        if any(frame.f_code.co_filename.endswith('mmengine/runner/priority.py') for frame in frames):
            raise ConfigError(
                f'{text!r} is not a priority of a hook: a number from 0 to 100, or HIGHEST to LOWEST.'
            ) from error
        if isinstance(error, AssertionError) and 'mmengine/hooks/' in raised_in.replace('\\', '/'):
            raise ConfigError(f'A hook cannot be used as the config sets it: {text.replace("self.", "")}.') from error
        built = next((found for frame in reversed(frames) if (found := _callee(frame)) is not None), None)
        if built is not None and built.__module__.split('.')[0] in _LIBRARIES:
            raise ConfigError(f'{built.__name__} cannot be built with these options: {text}') from error
        raise


def _callee(frame) -> type | None:  # type: ignore[no-untyped-def]
    """The class that ``build_from_cfg`` was calling, if this is its frame."""
    target = frame.f_locals.get('obj_cls')
    return target if inspect.isclass(target) else None
