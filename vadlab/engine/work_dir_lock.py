"""A lock that allows one training run per work dir."""

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
from pathlib import Path

from vadlab.utils.errors import ConfigError

LOCK_FILE = '.lock'
#: Errors of file systems without locks, such as some network file systems.
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
#: Locks of this process by path. The system grants a process a lock that it already holds, and closing one of the files
#: releases both.
_held: dict[str, 'WorkDirLock'] = {}


class WorkDirLock:
    """A file lock that the system releases when the process ends, even after a crash. Forks do not inherit it.

    The file names the process that holds the lock. A file left by a killed process has no effect.

    Args:
        work_dir (str | Path): The folder; :meth:`acquire` creates it if it is missing.
    """

    def __init__(self, work_dir: str | Path) -> None:
        self.path = Path(work_dir).absolute() / LOCK_FILE
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, also from a finished run of this process. Does nothing if this object holds it.

        Raises:
            ConfigError: Another process holds the lock.
        """
        if self._file is not None:
            return
        earlier = _held.pop(str(self.path), None)
        if earlier is not None:
            earlier.release()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NOT_SUPPORTED:
                    holder = _describe(os.read(file, 4096))
                    os.close(file)
                    raise ConfigError(
                        f'{self.path.parent} is in use: {holder}. Wait until it ends, stop it, or choose another '
                        'folder with --work-dir DIR.'
                    ) from None
            if self._is_on_disk(file):
                break
            os.close(file)  # the holder removed the file between our two calls
        about = {
            'pid': os.getpid(),
            'host': socket.gethostname(),
            'since': time.strftime('%Y-%m-%d %H:%M:%S'),
            'command': shlex.join(sys.argv)[:500],
        }
        os.ftruncate(file, 0)
        os.write(file, json.dumps(about).encode())
        self._file, _held[str(self.path)] = file, self

    def _is_on_disk(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(file))
        except FileNotFoundError:
            return False

    def is_taken(self) -> bool:
        """Whether another process holds the lock. False on file systems without locks."""
        if str(self.path) in _held:
            return False
        try:
            file = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _NOT_SUPPORTED
        finally:
            os.close(file)
        return False

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held."""
        if self._file is None:
            return
        self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None
        _held.pop(str(self.path), None)


def _describe(text: bytes) -> str:
    try:
        found = json.loads(text)
        return f'process {found["pid"]} on {found["host"]} has used it since {found["since"]} ({found["command"]})'
    except (ValueError, KeyError, TypeError):
        return 'another process uses it'
