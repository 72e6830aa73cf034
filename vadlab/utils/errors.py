"""Errors that a user can cause, and fix.

Each derives from the built-in exception that fits it, so library users may catch ``ValueError`` as usual, while the
tools can tell a user's mistake (one clear message, exit status 2) from a fault of our own (a traceback, status 1).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .printable import printable, shortened_message


class VADLabError(Exception):
    """Base of all errors that a user can fix. The message says what is wrong, where, and how to fix it.

    What it repeats of names and files is shown with its control characters escaped, and cut where it is long.
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


class MissingDependencyError(VADLabError, ImportError):
    """An optional package is not installed. The message gives the command that installs it."""


class TrainingError(VADLabError, RuntimeError):
    """Training cannot go on: a loss that is not finite, no memory left, a device that failed."""


@contextmanager
def naming(source: object, separator: str = ': ') -> Iterator[None]:
    """Put the name of a file before the message of a :class:`DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f'{source}{separator}{error}') from error
