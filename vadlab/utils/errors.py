"""Errors that a user can cause and fix.

Each derives from the matching built-in exception, so library users may catch ``ValueError`` as usual. The tools print
one message for these (exit status 2) and a traceback for faults of the program (status 1).
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .printable import printable, shortened_message

#: Numbers of the operating system's errors for a full disk, a used up quota and a file that is too large for the disk.
DISK_IS_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


class VADLabError(Exception):
    """Base of all errors that a user can fix. The message says what is wrong, where, and how to fix it.

    Control characters are escaped, and long messages are cut.
    """

    def __str__(self) -> str:
        return printable(shortened_message(super().__str__()))


class ConfigError(VADLabError, ValueError):
    """A config, a ``--cfg-options`` value or a constructor argument cannot be used."""


class DataError(VADLabError, ValueError):
    """An annotation, a video or another data file cannot be used."""


class MissingFileError(VADLabError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class CheckpointError(VADLabError, ValueError):
    """A checkpoint cannot be read, or belongs to another model."""


class HubError(CheckpointError):
    """A repository of the hub cannot be used: it is gone, needs a login, or its files are damaged."""


class MissingDependencyError(VADLabError, ImportError):
    """An optional package is not installed. The message gives the command that installs it."""


def mmdet_missing(what: str, error: ImportError, other: str = '') -> MissingDependencyError:
    """The error for a part that cannot import MMDetection, or mmcv's compiled ops, which MMDetection needs.

    Args:
        what (str): The part.
        error (ImportError): What the import raised.
        other (str): What to use instead.
    """
    way = 'Install it: pip install --no-build-isolation onedl-mmdetection'
    if error.name in ('mmcv._ext', 'mmcv.ops'):
        way = (
            'Its mmcv has no compiled ops, as after a plain pip install. In a clone, `make install` builds them with '
            'a C++ compiler (docs/install.md)'
        )
    return MissingDependencyError(f'{what} needs MMDetection ({error}). {way}{other}.')


class ServiceError(VADLabError, RuntimeError):
    """A server cannot be reached, or no longer answers."""


class MachineError(VADLabError, RuntimeError):
    """The machine cannot do the work: its processes are killed, or it is out of memory."""


class TrainingError(VADLabError, RuntimeError):
    """Training cannot continue: a loss that is not finite, no memory left, a device that failed."""


def check_names(names: Iterable[object], what: str) -> None:
    """Check that names can be written to lists, tables and JSON, which are in UTF-8.

    Args:
        names (Iterable): Paths or names, as Python decodes them.
        what (str): What the names belong to, for the message.

    Raises:
        DataError: Some names are not valid UTF-8.
    """
    bad = [str(name) for name in names if any('\ud800' <= char <= '\udfff' for char in str(name))]
    if bad:
        count = f'The name of one of the {what} is' if len(bad) == 1 else f'The names of {len(bad)} {what} are'
        raise DataError(
            f'{count} not UTF-8 (first: {bad[0]}). Rename them, such as by: '
            'convmv -r -f latin1 -t utf8 --notest FOLDER. If the names are right, set PYTHONUTF8=1'
        )


@contextmanager
def naming(source: object, separator: str = ': ') -> Iterator[None]:
    """Put the name of a file in front of the message of a :class:`DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f'{source}{separator}{error}') from error
