"""Locks of folders. The system releases them when a process ends, even after a crash; they leave no files."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import ConfigError

#: Errors of file systems without such locks, such as some network file systems.
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


@contextmanager
def lock_folder(folder: str | os.PathLike, option: str, is_shared: bool = False) -> Iterator[None]:
    """Lock a folder that a command writes to. Does nothing on file systems without locks.

    Args:
        folder (str | PathLike): The folder; made if missing.
        option (str): The option that names it, for the message.
        is_shared (bool): Allow other processes that share it, too.

    Raises:
        ConfigError: Another process holds the lock.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            os.close(file)
        if isinstance(error, BlockingIOError):
            raise ConfigError(
                f'{option} {folder}: another process writes there. Wait until it ends, or name another folder.'
            ) from error
        if error.errno not in _NOT_SUPPORTED:
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # not supported
            fcntl.flock(file, fcntl.LOCK_UN)  # a forked process that goes on has the lock, too
        os.close(file)


@contextmanager
def lock_outputs(folders: dict[str, str | Path | None]) -> Iterator[None]:
    """Lock the folders that a command writes to. Those that are made for it and stay empty are removed again.

    Args:
        folders (dict): Folder of each option, None for none. Two options may name the same one.

    Raises:
        ConfigError: Another process holds one of the locks.
    """
    named = {os.path.realpath(folder): option for option, folder in reversed(folders.items()) if folder is not None}
    with ExitStack() as held:
        for folder, option in named.items():
            new = [path for path in (Path(folder), *Path(folder).parents) if not path.exists()]
            held.enter_context(lock_folder(folders[option] or '', option))
            held.callback(_remove_empty, new)
        yield


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # not empty
            folder.rmdir()
