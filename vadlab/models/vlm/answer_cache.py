"""The cache of answers: one SQLite file, which runs and processes can share."""

import hashlib
import os
import sqlite3
import threading
import time
from pathlib import Path

from vadlab.datasets.video.frame_folder import frame_files
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.option_checks import require_file

from .request import Answer

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, text TEXT NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL, seconds REAL NOT NULL, is_refused INTEGER NOT NULL, is_cut INTEGER NOT NULL,
    tries INTEGER NOT NULL, made_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS videos (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL
);
"""
_PUT_VIDEO = 'INSERT OR REPLACE INTO videos VALUES (?,?,?,?)'
_VERSION = 1
_WAIT_S = 60.0  # for another process that writes
_CHUNK = 2**22


class AnswerCache:
    """Keeps every answer, so that no question is asked twice.

    An answer is written, and is on the disk, before the next question is sent by the same thread. Keys contain the
    content of the video, not its path, so a set of videos may be moved. No secrets and no addresses of servers are
    stored.

    Args:
        path (str | PathLike): The file; it is created with its folders for the first answer.

    Raises:
        ConfigError: The file is not a cache of answers, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._is_on_disk = self.path.exists()
        if not self._is_on_disk:
            require_file(self.path, 'answer_cache')
        self._base = self._open(str(self.path) if self._is_on_disk else ':memory:')

    def _open(self, place: str) -> sqlite3.Connection:
        """Open a database, and make its tables if it is new."""
        base = None
        try:
            if place != ':memory:':
                self.path.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(place, timeout=_WAIT_S, check_same_thread=False, isolation_level=None)
            self._make_tables(base)
            base.execute('PRAGMA journal_mode=WAL')
            base.execute('PRAGMA synchronous=NORMAL')  # survives a killed process
            return base
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: damaged names, and ConfigError
            if base is not None:
                base.close()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f'{self.path} cannot be used as a cache of answers: {error}. Remove it, or name another file'
            ) from error

    def _use_file(self) -> None:
        """Create the file, with what is in memory; the lock is held."""
        base = self._open(str(self.path))
        base.executemany(_PUT_VIDEO, self._base.execute('SELECT * FROM videos').fetchall())
        self._base.close()
        self._base, self._is_on_disk = base, True

    def _make_tables(self, base: sqlite3.Connection) -> None:
        """Make the tables of a new file; several processes may open it at the same time.

        Raises:
            ConfigError: The file is of another version, or of another program.
        """
        base.execute('BEGIN IMMEDIATE')  # so that no other process changes the file between these steps
        version = base.execute('PRAGMA user_version').fetchone()[0]
        if version not in (0, _VERSION):
            raise ConfigError(f'{self.path} is a cache of version {version}, which this VADLab cannot read')
        if version == 0:
            if base.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]:
                raise ConfigError(f'{self.path} is a database of another program. Name another file')
            for statement in _SCHEMA.split(';'):
                base.execute(statement)
            base.execute(f'PRAGMA user_version={_VERSION}')
        base.execute('COMMIT')

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __len__(self) -> int:
        return int(self._base.execute('SELECT count(*) FROM answers').fetchone()[0])

    def get(self, key: str) -> Answer | None:
        """The answer of a key; None if it was not asked."""
        with self._lock, self._named():
            if not self._is_on_disk and self.path.exists():  # another process wrote it
                self._use_file()
            row = self._base.execute(
                'SELECT text, tokens_in, tokens_out, seconds, is_refused, is_cut, tries FROM answers WHERE key = ?',
                (key,),
            ).fetchone()
        if row is None:
            return None
        return Answer(row[0], row[1], row[2], row[3], bool(row[4]), bool(row[5]), row[6])

    def put(self, key: str, model: str, answer: Answer) -> None:
        """Write an answer.

        Args:
            key (str): :meth:`Request.key`.
            model (str): Name of the model, for people who look into the file.
            answer (Answer): The answer.
        """
        row = (key, model, answer.text, answer.tokens_in, answer.tokens_out, answer.seconds)
        flags = (int(answer.is_refused), int(answer.is_cut), answer.tries, time.time())
        with self._lock, self._named():
            if not self._is_on_disk:
                self._use_file()
            self._base.execute('INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?,?,?,?)', (*row, *flags))

    def digest_of(self, path: str) -> str:
        """Digest of a video's content; computed again only if the file changed.

        Args:
            path (str): A video, or a folder of frames.

        Raises:
            MissingFileError: There is no such file.
        """
        real = os.path.realpath(path)
        files = frame_files(real) if os.path.isdir(real) else [real]
        try:
            found = [os.stat(file) for file in files]
        except OSError as error:
            raise MissingFileError(f'{path} cannot be read: {error.strerror}') from error
        size, mtime = sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)
        with self._lock, self._named():
            row = self._base.execute('SELECT size, mtime_ns, digest FROM videos WHERE path = ?', (real,)).fetchone()
        if row is not None and row[:2] == (size, mtime):
            return str(row[2])
        digest = hashlib.sha256()
        for file in files:
            with open(file, 'rb') as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
            digest.update(b'|')
        with self._lock, self._named():
            self._base.execute(_PUT_VIDEO, (real, size, mtime, digest.hexdigest()))
        return digest.hexdigest()

    def _named(self) -> '_Named':
        return _Named(self.path)


class _Named:
    """Converts errors of SQLite into a message with the name of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OverflowError | ValueError):
            raise DataError(f'{self.path}: the cache of answers cannot be used: {error}') from error
