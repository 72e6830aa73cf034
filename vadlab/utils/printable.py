"""Printing text of unknown origin on a terminal: file names, captions, error messages."""

import logging
import re
from typing import Any, TextIO

from .own_files import TOOLS

# Control characters (except tab and line break), line separators, overrides of the writing direction, and surrogates,
# by which Python represents bytes of file names that are not UTF-8.
_CONTROL = re.compile('[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_LONG_WORD = re.compile(r'\S{301,}')
_MOST = 4_000  # characters in a message
_TOOL = re.compile(rf'\b(?:python )?(?:{re.escape(str(TOOLS.parent))}/)?tools/(\w+)\.py\b')

#: Whether the user runs the command ``vadlab`` and not the tools of a clone.
is_command = False


def printable(text: str) -> str:
    r"""The text with control characters as escapes, so that no terminal acts on them.

    Tools are named as the user calls them, see :func:`as_called`.

    >>> printable('a\x1b[31mb')
    'a\\x1b[31mb'
    """
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], as_called(text))


def one_line(text: str) -> str:
    r"""The text with line breaks as escapes, too, so that a name cannot look like another line of output.

    >>> one_line('a\nerror: b')
    'a\\nerror: b'
    """
    return printable(text).replace('\n', '\\n')


def as_called(text: str) -> str:
    """The text with ``vadlab train`` for ``python tools/train.py``, if the user runs ``vadlab``."""
    return _TOOL.sub(lambda match: f'vadlab {match[1].replace("_", "-")}', text) if is_command else text


def shortened_message(text: str) -> str:
    """A message with words over 300 characters, and the whole if over 4,000, shortened in the middle."""
    text = _LONG_WORD.sub(lambda match: _cut(match[0], 120), text)
    return text if len(text) <= _MOST else _cut(text, _MOST // 2)


def _cut(text: str, kept: int) -> str:
    return f'{text[:kept]} [... {len(text) - 2 * kept:,} characters ...] {text[-kept:]}'


class OutputClosed(BaseException):
    """Nobody reads standard output any more, as after ``| head``. No part of a tool mistakes it for a bad file."""


def say(*parts: object, file: TextIO | None = None, end: str = '\n', flush: bool = False) -> None:
    """``print`` for text of unknown origin: it is made :func:`printable` first.

    Raises:
        OutputClosed: It goes to standard output, whose reader is gone.
    """
    try:
        print(*(printable(str(part)) for part in parts), file=file, end=end, flush=flush)
    except BrokenPipeError:
        if file is not None:
            raise
        raise OutputClosed from None


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream, which may have been closed from the start, is a terminal."""
    return stream is not None and stream.isatty()


def make_logs_printable() -> None:
    """Make all further log records of this process :func:`printable`."""
    made = logging.getLogRecordFactory()
    if getattr(made, 'is_printable', False):
        return

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = made(*args, **kwargs)
        record.msg, record.args = printable(record.getMessage()), ()
        return record

    factory.is_printable = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
