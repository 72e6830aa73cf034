"""Checks of the numbers, folders and files of a command line, before slow packages are loaded."""

import argparse
from pathlib import Path

from .atomic import part_of
from .errors import ConfigError

#: Endings of figures.
FIGURES = ('.png', '.svg', '.pdf')
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


def require_folder(path: str | Path | None, option: str, needs_room: bool = True) -> None:
    """Check that files can be written to a folder. Nothing is left behind, and no folder is made.

    Args:
        path (str | Path | None): The folder; None was not given.
        option (str): The option that names it, for the message.
        needs_room (bool): Refuse a full disk; False for services, which wait until there is room.

    Raises:
        ConfigError: It is a file, it cannot be made or written to, or its disk is full.
    """
    if path is not None:
        _try_to_write(Path(path), False, option, _PROBE if needs_room else b'')


def require_new_folder(path: str | Path | None, option: str) -> None:
    """As :func:`require_folder`, for a folder that must be empty or not exist."""
    require_folder(path, option)
    if path is not None and Path(path).is_dir() and any(Path(path).iterdir()):
        raise ConfigError(f'{option} {path} is not empty. Name a new folder.')


def require_file(path: str | Path | None, option: str, *endings: str, overwrite: bool = True) -> None:
    """Check that a file can be written. Nothing is left behind, and no folder is made.

    Args:
        path (str | Path | None): The file to write later; None was not given.
        option (str): The option that names it, for the message.
        *endings (str): Endings of which its name must have one, such as ``.json``; by default any.
        overwrite (bool): Whether it may replace a file.

    Raises:
        ConfigError: It has another ending, it is a folder, it exists, its folder cannot be made or written to, or the
            disk is full.
    """
    if path is None:
        return
    path = Path(path)
    if endings and path.suffix.lower() not in endings:
        raise ConfigError(f'{option} {path}: must end with {", ".join(endings)}.')
    _try_to_write(path, True, option, _PROBE)
    if path.exists() and not overwrite:
        raise ConfigError(f'{option} {path} exists. Name another file, or give --overwrite.')


def _try_to_write(path: Path, is_file: bool, option: str, content: bytes) -> None:
    """Write a hidden file to the folder, or the nearest one above it that exists, and remove it."""
    try:
        if path.exists() and path.is_dir() == is_file:
            kind, other = ('folder', 'file') if is_file else ('file', 'folder')
            raise ConfigError(f'{option} {path} is a {kind}. Name a {other}.')
        folders = path.parents if is_file else (path, *path.parents)
        part = part_of(next(folder for folder in folders if folder.exists()) / (path.name or 'probe'))
        try:
            part.write_bytes(content)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f'{option} {path} cannot be written to: {error.strerror}') from error
