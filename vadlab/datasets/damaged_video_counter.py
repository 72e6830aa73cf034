"""One count of damaged videos for all loader workers."""

import os
import tempfile
import weakref


class DamagedVideoCounter:
    """Names of damaged videos met so far, shared by every process that holds a copy of this object.

    The names are lines of a temporary file, appended whole, so it makes no difference whether workers were forked or
    spawned, or whether they are started anew each epoch.

    Args:
        limit: How many distinct videos may be damaged before the run should stop, >= 0.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        descriptor, self._path = tempfile.mkstemp(prefix='vadlab-bad-videos-')
        os.close(descriptor)
        # Copies in workers carry the path but not this finalizer; a forked one must not remove the file either.
        self._owner = os.getpid()
        weakref.finalize(self, _remove, self._path, self._owner)

    def names(self) -> list[str]:
        """Distinct damaged videos, in the order in which they were met."""
        try:
            with open(self._path, encoding='utf-8') as file:
                return list(dict.fromkeys(line.rstrip('\n') for line in file))
        except FileNotFoundError:  # the dataset that this one was copied from is gone
            return []

    def add(self, name: str) -> bool:
        """Count a damaged video.

        Returns:
            Whether it was not known before.
        """
        if name in self.names():
            return False
        with open(self._path, 'a', encoding='utf-8') as file:
            file.write(name.replace('\n', ' ') + '\n')
        return True

    @property
    def exceeded(self) -> bool:
        return len(self.names()) > self.limit


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner and os.path.exists(path):
        os.unlink(path)
