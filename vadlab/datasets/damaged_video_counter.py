"""A count of damaged videos that all loader workers share."""

import os
import tempfile
import uuid
import weakref


class DamagedVideoCounter:
    """Names of the damaged videos found so far, shared by all processes with a copy of this object.

    The names are lines of a temporary file, each appended in one write. So workers may be forked or spawned, and may be
    restarted each epoch. The file is made for the first name, so killed runs without one leave none.
    """

    def __init__(self) -> None:
        self._path = os.path.join(tempfile.gettempdir(), f'vadlab-bad-videos-{uuid.uuid4().hex}')
        # Spawned workers have the path but not this finalizer; a forked worker must not remove the file either.
        self._owner = os.getpid()
        weakref.finalize(self, _remove, self._path, self._owner)

    def names(self) -> list[str]:
        """Distinct damaged videos, in the order in which they were found."""
        try:
            with open(self._path, encoding='utf-8') as file:
                return list(dict.fromkeys(line.rstrip('\n') for line in file))
        except FileNotFoundError:  # none so far, or the data set that this one was copied from is gone
            return []

    def add(self, name: str) -> bool:
        """Count a damaged video.

        Returns:
            Whether it is a new one.
        """
        if name in self.names():
            return False
        with open(self._path, 'a', encoding='utf-8') as file:
            file.write(name.replace('\n', ' ') + '\n')
        return True


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner and os.path.exists(path):
        os.unlink(path)
