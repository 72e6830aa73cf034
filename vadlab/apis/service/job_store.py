"""Jobs of the service: one SQLite file, and a folder per job.

A job is accepted when its row is committed, which is after its video is on the disk. It ends once: the row gets the
state ``done`` or ``failed``, and a trigger refuses any later change of it. A process that is killed at any moment
leaves a job either waiting, running (it is then continued, see :meth:`JobStore.recover`) or ended.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.folder_content import folder_content
from vadlab.utils.json_file import read_json, shape_fault
from vadlab.utils.option_checks import require_folder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, name TEXT NOT NULL,
    ending TEXT NOT NULL, bytes INTEGER NOT NULL, duration_s REAL NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL, error_code TEXT, error TEXT, summary TEXT
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);
CREATE TRIGGER IF NOT EXISTS jobs_end_once BEFORE UPDATE ON jobs WHEN OLD.state IN ('done', 'failed')
BEGIN SELECT RAISE(ABORT, 'the job has ended'); END;
"""
_VERSION = 1
_COLUMNS = (
    'number, id, key, name, ending, bytes, duration_s, state, tries, created, started, ended, error_code, error, '
    'summary'
)
_WAIT_S = 30.0
DATABASE = 'jobs.sqlite'
LOCK = 'service.lock'
#: Written last in the folder of a try, so the try is complete when it is there.
OUTCOME = 'outcome.json'
_OUTCOME_SHAPE = {'summary?': {str: Any}, 'page?': str, 'error?': {'code': str, 'message': str}}
#: A job that was being scored each time when the service was killed this often is not tried again.
MOST_TRIES = 5


@dataclass(frozen=True)
class Job:
    """A row of the table of jobs.

    Attributes:
        number (int): Place in the order of acceptance.
        id (str): 32 hexadecimal digits, random.
        key (str | None): Key of the client, with which a repeated post finds the same job.
        name (str): Name of the video for people.
        ending (str): Ending of the stored video, by its content, such as ``.mp4``.
        bytes (int): Size of the video.
        duration_s (float): Length of the video, in seconds.
        state (str): ``waiting``, ``running``, ``done`` or ``failed``.
        tries (int): Number of times that scoring began.
        created (float): Time of acceptance, in seconds since 1970 (UTC).
        started (float | None): Time of the last try.
        ended (float | None): Time at which the job ended.
        error_code (str | None): Short word for why the job failed.
        error (str | None): Why the job failed, for people.
        summary (str | None): JSON object about the result.
    """

    number: int
    id: str
    key: str | None
    name: str
    ending: str
    bytes: int
    duration_s: float
    state: str
    tries: int
    created: float
    started: float | None
    ended: float | None
    error_code: str | None
    error: str | None
    summary: str | None

    @property
    def has_ended(self) -> bool:
        """Whether the job is done or has failed."""
        return self.state in ('done', 'failed')


class JobStore:
    """Jobs on disk. Methods may be called from any thread.

    Args:
        folder (Path): The folder; made if missing. One process at a time can use it.

    Raises:
        ConfigError: Another service uses the folder, or it holds other files, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        self._lock = threading.Lock()
        self._lock_file: int | None = None
        self._open()

    def _open(self) -> None:
        path = self.folder / DATABASE
        require_folder(self.folder, '--data', needs_room=False)
        if not path.exists() and [file for file in folder_content(self.folder) if file.name != LOCK]:
            raise ConfigError(f'--data {self.folder}: the folder holds other files. Name a new or an empty one.')
        try:
            # Videos of cameras are private: only this user reads the folder.
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ('jobs', 'incoming'):
                (self.folder / part).mkdir(exist_ok=True)
            self._lock_file = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f'--data {self.folder} cannot be used: {error.strerror}') from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise ConfigError(
                f'--data {self.folder} is in use by another service. Stop it, or name another folder.'
            ) from error
        try:
            self._base = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False, isolation_level=None)
            version = self._base.execute('PRAGMA user_version').fetchone()[0]
            if version not in (0, _VERSION):
                raise ConfigError(f'{path} is of version {version}, which this VADLab cannot read. Name another --data')
            fault = self._base.execute('PRAGMA quick_check').fetchone()[0]
            if fault != 'ok':
                raise sqlite3.DatabaseError(fault)
            self._base.execute('PRAGMA journal_mode=WAL')
            self._base.execute('PRAGMA synchronous=FULL')  # an accepted job survives a loss of power, too
            self._base.executescript(_SCHEMA)
            self._base.execute(f'PRAGMA user_version={_VERSION}')
        except (sqlite3.Error, ConfigError) as error:
            self.close()
            if isinstance(error, ConfigError):
                raise
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ConfigError:
        return ConfigError(
            f'{self.folder / DATABASE} cannot be used as the list of jobs: {error}. Remove it, or name another --data'
        )

    def close(self) -> None:
        """Close the file, and free the folder for another process."""
        with self._lock:
            if self._lock_file is not None:
                if hasattr(self, '_base'):
                    self._base.close()
                os.close(self._lock_file)
                self._lock_file = None

    # --------------------------------------------------------------------------------------------------------- folders

    @property
    def incoming(self) -> Path:
        """Folder of uploads that are not accepted yet."""
        return self.folder / 'incoming'

    def folder_of(self, job_id: str) -> Path:
        """Folder of a job."""
        return self.folder / 'jobs' / job_id

    def video_of(self, job: Job) -> Path:
        """The uploaded video; it is removed when the job ends, since the report has a copy."""
        return self.folder_of(job.id) / f'video{job.ending}'

    def try_of(self, job: Job) -> Path:
        """Folder of the results of the current try."""
        return self.folder_of(job.id) / f'try-{job.tries}'

    # ------------------------------------------------------------------------------------------------------------ rows

    def add(
        self, job_id: str, upload: Path, name: str, ending: str, size: int, duration_s: float, key: str | None = None
    ) -> Job:
        """Accept a job: move its video to its folder, then write its row.

        Args:
            job_id (str): New id.
            upload (Path): The video, in :attr:`incoming`.
            name (str): Name for people.
            ending (str): Ending by content.
            size (int): Size in bytes.
            duration_s (float): Length in seconds.
            key (str | None): Key of the client.

        Returns:
            Job: The new job; or the earlier one with the same key, and the upload is then removed.
        """
        folder = self.folder_of(job_id)
        folder.mkdir()
        os.replace(upload, folder / f'video{ending}')
        sync_folder(folder)
        sync_folder(folder.parent)
        try:
            with self._lock:
                self._base.execute(
                    'INSERT INTO jobs (id, key, name, ending, bytes, duration_s, state, tries, created) '
                    "VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?)",
                    (job_id, key, name, ending, size, duration_s, time.time()),
                )
        except sqlite3.IntegrityError:
            shutil.rmtree(folder, ignore_errors=True)
            earlier = self.by_key(key)
            if earlier is None:
                raise
            return earlier
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        job = self.get(job_id)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job | None:
        """A job; None if there is none with this id."""
        return self._one('WHERE id = ?', job_id)

    def by_key(self, key: str | None) -> Job | None:
        """The job that a client posted with a key; None without one."""
        return None if key is None else self._one('WHERE key = ?', key)

    def newest(self, most: int) -> list[Job]:
        """The jobs that were accepted last, newest first."""
        return self._all('ORDER BY number DESC LIMIT ?', most)

    def pending(self) -> int:
        """Number of jobs that wait or are being scored."""
        return int(self._value("SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')"))

    def ahead_of(self, job: Job) -> int:
        """Number of jobs that are scored before a waiting job."""
        return int(
            self._value("SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running') AND number < ?", job.number)
        )

    def usual_seconds(self) -> float | None:
        """Mean time of the last 20 jobs that ended, in seconds; None without any."""
        return self._value(
            'SELECT avg(s) FROM (SELECT ended - started AS s FROM jobs WHERE ended IS NOT NULL AND started IS NOT NULL '
            'ORDER BY ended DESC LIMIT 20)'
        )

    def take(self) -> Job | None:
        """Mark the oldest waiting job as running, and return it; None without any."""
        return self._one_of(
            "UPDATE jobs SET state = 'running', tries = tries + 1, started = ? WHERE number = "
            f"(SELECT number FROM jobs WHERE state = 'waiting' ORDER BY number LIMIT 1) RETURNING {_COLUMNS}",
            time.time(),
        )

    def give_back(self, job: Job) -> bool:
        """Let a running job wait again, because the service stops; the try does not count."""
        return self._change(job, "state = 'waiting', tries = tries - 1, started = NULL")

    def wait_again(self, job: Job) -> bool:
        """Let a running job wait again; the try counts."""
        return self._change(job, "state = 'waiting', started = NULL")

    def finish(self, job: Job, summary: dict[str, Any]) -> bool:
        """End a running job with a result; return False if it was deleted or has ended already."""
        return self._end(job, "state = 'done', ended = ?, summary = ?", time.time(), json.dumps(summary))

    def fail(self, job: Job, code: str, message: str) -> bool:
        """End a running job with an error; return False if it was deleted or has ended already."""
        return self._end(job, "state = 'failed', ended = ?, error_code = ?, error = ?", time.time(), code, message)

    def delete(self, job_id: str) -> bool:
        """Delete a job and its files; return False if there is none."""
        with self._lock:
            found = self._base.execute('DELETE FROM jobs WHERE id = ?', (job_id,)).rowcount
        if found:
            shutil.rmtree(self.folder_of(job_id), ignore_errors=True)
        return bool(found)

    def delete_old(self, keep_s: float) -> int:
        """Delete jobs that ended more than ``keep_s`` seconds ago; return their number."""
        old = self._all('WHERE ended < ?', time.time() - keep_s)
        return sum(self.delete(job.id) for job in old)

    # -------------------------------------------------------------------------------------------------- after a kill

    def recover(self) -> dict[str, int]:
        """Continue after the last process ended in any way: call it once, before the first job is taken.

        A running job whose last try is complete ends with it. Another one waits again, unless it was tried
        :data:`MOST_TRIES` times. Uploads that were not accepted, and folders without a row, are removed.

        Returns:
            dict[str, int]: Numbers of jobs that were ``completed``, are to be scored ``again``, were ``given_up``.

        Raises:
            ConfigError: The list of jobs is damaged.
        """
        try:
            return self._recover()
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _recover(self) -> dict[str, int]:
        counts = {'completed': 0, 'again': 0, 'given_up': 0}
        for part in self.incoming.iterdir():
            part.unlink(missing_ok=True)
        for job in self._all("WHERE state = 'running'"):
            outcome = read_outcome(self.try_of(job))
            if outcome is not None:
                self.end_with(job, outcome)
                counts['completed'] += 1
            elif job.tries >= MOST_TRIES:
                self.fail(
                    job,
                    'interrupted',
                    f'The service ended {job.tries} times while it scored this video. It is not tried again.',
                )
                counts['given_up'] += 1
            else:
                self.wait_again(job)
                counts['again'] += 1
        jobs = {job.id: job for job in self._all('')}
        for folder in (self.folder / 'jobs').iterdir():
            if folder.name not in jobs:
                shutil.rmtree(folder, ignore_errors=True)
            elif jobs[folder.name].has_ended:
                self._remove_unneeded(jobs[folder.name])
        return counts

    def end_with(self, job: Job, outcome: dict[str, Any]) -> bool:
        """End a running job with the outcome of its try; return False if it was deleted or has ended already."""
        error = outcome.get('error')
        if error is not None:
            return self.fail(job, error['code'], error['message'])
        return self.finish(job, {**(outcome.get('summary') or {}), 'page': outcome.get('page') or ''})

    def _end(self, job: Job, change: str, *values: Any) -> bool:
        ended = self._change(job, change, *values)
        if ended:
            self._remove_unneeded(job)
        elif self.get(job.id) is None:  # deleted while it was scored: the process may have written files since
            shutil.rmtree(self.folder_of(job.id), ignore_errors=True)
        return ended

    def _change(self, job: Job, change: str, *values: Any) -> bool:
        # The number of the try is compared, so that a late answer of an earlier try changes nothing.
        with self._lock:
            return bool(
                self._base.execute(
                    f"UPDATE jobs SET {change} WHERE id = ? AND state = 'running' AND tries = ?",
                    (*values, job.id, job.tries),
                ).rowcount
            )

    def _remove_unneeded(self, job: Job) -> None:
        """Remove the uploaded video and the files of incomplete tries of a job that has ended."""
        kept = self.try_of(job)
        for path in self.folder_of(job.id).iterdir():
            if path != kept:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------- queries

    def _all(self, what: str, *values: Any) -> list[Job]:
        with self._lock:
            return [Job(*row) for row in self._base.execute(f'SELECT {_COLUMNS} FROM jobs {what}', values)]

    def _one(self, what: str, *values: Any) -> Job | None:
        return next(iter(self._all(what, *values)), None)

    def _one_of(self, statement: str, *values: Any) -> Job | None:
        with self._lock:
            rows = self._base.execute(statement, values).fetchall()
        return Job(*rows[0]) if rows else None

    def _value(self, query: str, *values: Any) -> Any:
        with self._lock:
            return self._base.execute(query, values).fetchone()[0]


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """The outcome of a try; None if the try is not complete.

    Args:
        folder (Path): See :meth:`JobStore.try_of`.
    """
    path = folder / OUTCOME
    if not path.is_file():
        return None
    try:
        content = read_json(path)
    except DataError:
        return None
    return None if shape_fault(content, _OUTCOME_SHAPE) else content


def sync_folder(folder: Path, files: Iterable[Path] = ()) -> None:
    """Wait until files, and the names in their folder, are on the disk."""
    for path in (*files, folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
