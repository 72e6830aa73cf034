"""One training per work dir at a time."""

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
#: File systems without locks, over some networks.
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
#: By path; the system would grant a process the lock that it holds already, and take both back with the first.
_held: dict[str, 'WorkDirLock'] = {}


class WorkDirLock:
    """A lock that the system releases when the process ends, however it ends; what forks do not inherit.

    The file says who holds it. One left by a killed process means nothing.

    Args:
        work_dir (str | Path): The folder; made by :meth:`acquire` where it is missing.
    """

    def __init__(self, work_dir: str | Path) -> None:
        self.path = Path(work_dir).absolute() / LOCK_FILE
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; does nothing where this object, or a run of this process that is over, has it.

        Raises:
            ConfigError: Another process has it.
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
            os.close(file)  # its holder removed it between our two calls
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

    def release(self) -> None:
        """Give it back; does nothing where it is not held."""
        if self._file is None:
            return
        self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None
        _held.pop(str(self.path), None)


def _describe(text: bytes) -> str:
    try:
        found = json.loads(text)
        return f'process {found["pid"]} on {found["host"]} trains there since {found["since"]} ({found["command"]})'
    except (ValueError, KeyError, TypeError):
        return 'another process trains there'
