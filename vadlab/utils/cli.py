"""Running a command line tool: exit status, error messages and signals."""

import atexit
import errno
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from .errors import DISK_IS_FULL, VADLabError
from .gc_pause import search_as_usual, search_rarely_while_loading
from .loader_workers import causes, machine_message
from .lost_ranks import lost_rank_message
from .printable import OutputClosed, as_called, make_logs_printable, printable, shortened_message
from .progress import hide_bars

# torch re-raises a worker's exception as the same type with the worker's whole traceback as its message.
_WORKER_TRACEBACK = re.compile(r'^Caught \w+ in .*?Original Traceback.*\n[\w.]*Error: ', re.DOTALL)

#: Errors of files and folders that a user can fix; other errors of the operating system are faults of the program.
_OF_FILES = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EROFS,
    *DISK_IS_FULL,
}

_READER_IS_GONE = 141  # as if by SIGPIPE


def user_message(error: Exception) -> str:
    """The error's own message, without the traceback that a data loader worker wraps around it."""
    if isinstance(error, OSError) and not isinstance(error, VADLabError):
        message = ': '.join(str(part) for part in (error.filename2 or error.filename, error.strerror) if part)
        if error.errno in DISK_IS_FULL and not error.filename:  # a write to an open file, which the error does not name
            message += ': a file of this run (its log, records or pictures) could not be written. Make room'
    else:
        message = _WORKER_TRACEBACK.sub('', BaseException.__str__(error)).strip()
    return printable(shortened_message(message))


_lost_logs: set[str] = set()


def _log_is_lost(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Say once per file that a record could not be written."""
    place = str(getattr(handler, 'baseFilename', 'the terminal'))
    if place not in _lost_logs and sys.stderr is not None:
        _lost_logs.add(place)
        with suppress(OSError, ValueError):
            error = sys.exc_info()[1]
            print(printable(f'warning: the log is incomplete: {place}: {error}'), file=sys.stderr)


class Terminated(BaseException):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into :class:`Terminated`, only in the main thread of this process.

    A library may catch an interruption and raise an error of its own; the interruption is then raised again. A process
    of a distributed run that is ending anyway ignores one SIGTERM, which the launcher sends when the first process has
    ended: the message would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(signum: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second SIGTERM ends the process at once
        if os.getpid() != owner:  # a forked process prints nothing
            os.kill(os.getpid(), signal.SIGTERM)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, KeyboardInterrupt | Terminated):
                raise cause from None
        raise
    finally:
        signal.signal(signal.SIGTERM, _ends_anyway if _is_rank() else before)


def _ends_anyway(signum: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second SIGTERM ends the process at once


def _is_rank() -> bool:
    """Whether this process is part of a distributed run."""
    distributed = sys.modules.get('torch.distributed')
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _end(status: int) -> NoReturn:
    """Exit; a process of a distributed run does so without taking the interpreter down.

    The threads of torch's process group drop the last tensors when they come to it. If that is after Python's end,
    the process is aborted (SIGABRT) although its work is done; if Python frees the group first, it may wait for
    itself without end. Here everything that is registered for the end is done, and nothing is freed.
    """
    is_rank = _is_rank()
    if is_rank:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
        atexit._run_exitfuncs()
    failed = _write_out()
    if not is_rank:
        sys.exit(status or failed)
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
    os._exit(status or failed)


def _write_out() -> int:
    """Write what standard output still holds; return the exit status if that is not possible, or 0."""
    if sys.stdout is None:  # it was closed from the start
        return 0
    try:
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        status = _READER_IS_GONE
    except ValueError:  # the tool closed it
        return 0
    except OSError as error:
        print(f'error: standard output cannot be written: {error.strerror}', file=sys.stderr)
        status = 2
    with suppress(OSError, ValueError), open(os.devnull, 'wb') as nothing:  # Python would try again at its end
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    return status


def run_cli(main: Callable[[], int | None], resume: str | None = None) -> NoReturn:
    """Run a tool's ``main`` and exit.

    Exit status 2, with one message on standard error: a user's mistake (:class:`VADLabError`), a file or folder that
    cannot be used (no permission, no space, a folder where a file should be), a data loading process that died, or
    another process of a distributed run that has ended.
    Ctrl-C gives 130 and SIGTERM 143, after temporary files are removed; a reader of standard output that is gone
    (``| head``) gives 141, as for other programs, and no message. Any other exception is a fault of the program and
    keeps its traceback (status 1).

    Args:
        main: Takes no arguments; returns the exit status, or None for 0.
        resume: The command that continues after an interruption, if the tool can.
    """
    try:
        status = _status_of(main, resume)
    except SystemExit as ended:  # argparse, after --help or an error
        if failed := _write_out():
            raise SystemExit(ended.code or failed) from None
        raise
    except Exception:
        if not _is_rank():
            raise
        sys.excepthook(*sys.exc_info())
        status = 1
    _end(status)


def _status_of(main: Callable[[], int | None], resume: str | None) -> int:
    """Run ``main``; return the exit status of :func:`run_cli`, or raise a fault of the program."""
    make_logs_printable()
    setattr(logging.Handler, 'handleError', _log_is_lost)  # noqa: B010 - logging prints a traceback per record
    for stream in (sys.stdout, sys.stderr):
        # Names that are not UTF-8, or a terminal that shows only ASCII, must not end a run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        with _ended_by_sigterm():
            search_rarely_while_loading()
            try:
                status = main() or 0
            finally:
                search_as_usual(all_is_loaded=False)
                hide_bars()
    except (VADLabError, OSError, RuntimeError) as error:
        of_machine = None if isinstance(error, VADLabError) else machine_message(error) or lost_rank_message(error)
        of_user = isinstance(error, VADLabError) or getattr(error, 'errno', None) in _OF_FILES
        if of_machine is None and not of_user:
            raise
        _write_out()
        print(f'error: {of_machine or user_message(error)}', file=sys.stderr)
        status = 2
    except OutputClosed:
        status = _READER_IS_GONE
    except (KeyboardInterrupt, Terminated) as error:
        _write_out()
        sys.unraisablehook = lambda _: None  # half-built objects print errors when they are freed
        if os.environ.get('RANK', '0') == '0':
            print('interrupted' + (f', resume with: {as_called(resume)}' if resume else ''), file=sys.stderr)
        status = 143 if isinstance(error, Terminated) else 130
    return status
