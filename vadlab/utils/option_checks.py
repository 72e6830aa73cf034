"""Checks of the numbers and folders of a command line, before slow packages are loaded."""

import argparse
from contextlib import suppress
from pathlib import Path

from .atomic import part_of
from .errors import ConfigError

_PROBE = b'\0' * 4096  # a full disk still has room for an empty file


def require_at_least(least: int, args: argparse.Namespace, *names: str) -> None:
    """Check options that are numbers; one that is None was not given.

    Args:
        least (int): Smallest value.
        args (Namespace): Parsed options.
        *names (str): Their names in ``args``.

    Raises:
        ConfigError: One is smaller.
    """
    for name in names:
        value = getattr(args, name)
        if value is not None and value < least:
            raise ConfigError(f'--{name.replace("_", "-")} must be at least {least}, not {value}.')


def require_folder(path: str | Path | None, option: str) -> None:
    """Check that files can be written to a folder. A folder that does not exist is made and removed.

    Args:
        path (str | Path | None): The folder; None was not given.
        option (str): The option that names it, for the message.

    Raises:
        ConfigError: It is a file, it cannot be made or written to, or its disk is full.
    """
    if path is None:
        return
    path, made = Path(path), []
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f'{option} {path} is a file. Name a folder.')
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                made.append(folder)
        part = part_of(path / 'probe')
        try:
            part.write_bytes(_PROBE)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f'{option} {path} cannot be written to: {error.strerror}') from error
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # another process has begun to use it
                folder.rmdir()
