"""Gives waiting jobs to the process that scores, and ends each of them with a result or a named error."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from vadlab.utils.errors import ConfigError
from vadlab.utils.printable import shortened_message

from .child_process import ChildError, ChildMemoryError, ChildProcess, ChildRefusedError, ChildTimeoutError
from .job_store import MOST_TRIES, Job, JobStore
from .settings import ServiceSettings

_LOOK_EVERY_S = 1.0
_LONGEST_PAUSE_S = 60.0
_HOUSEKEEPING_S = 60.0
_RETRY_S = 5.0
T = TypeVar('T')


@dataclass(frozen=True)
class Progress:
    """How far a running job is.

    Attributes:
        stage (str): ``scoring``, or ``report`` while its page is written.
        share (float | None): Share of the video that is scored, in 0..1; None where the method does not tell it.
    """

    stage: str
    share: float | None


class Dispatcher:
    """Runs jobs one after the other in a process of their own, from a thread.

    If that process crashes, or exceeds its time or memory, its job ends with an error that names this, and the process
    is started again. If the process cannot start, jobs wait, and it is tried again with growing pauses.

    Args:
        store (JobStore): The jobs.
        command (list[str]): Runs :mod:`vadlab.apis.service.worker`.
        settings (ServiceSettings): Limits.
        say (Callable): Gets a line per event, for the log.
    """

    def __init__(
        self, store: JobStore, command: list[str], settings: ServiceSettings, say: Callable[[str], None]
    ) -> None:
        self.store, self.settings, self.say = store, settings, say
        self.child = ChildProcess(command, settings.job_memory, settings.start_limit_s)
        #: What scores; empty until the model is loaded for the first time.
        self.model: dict[str, Any] = {}
        #: Why no job can be scored at the moment; empty if all is well.
        self.problem = ''
        self._progress: tuple[str, Progress] | None = None
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._stopping = self._is_cancelled = False
        self._thread = threading.Thread(target=self._work, name='dispatcher', daemon=True)

    def start(self) -> None:
        """Load the model, then begin with the jobs.

        Raises:
            ConfigError: The model cannot be used.
        """
        try:
            self.model = self.child.start()
        except ChildError as error:
            self.child.stop()
            if isinstance(error, ChildRefusedError):
                raise ConfigError(str(error)) from error
            raise ConfigError(f'The process that scores does not start: {error}. Its messages are above.') from error
        self._thread.start()

    def stop(self) -> None:
        """Stop. A job that is being scored waits again, and is continued by the next service."""
        self._stopping = True
        while True:
            self.child.kill()
            self.wake()
            if not self._thread.is_alive():
                break
            self._thread.join(0.5)
        self.child.stop()

    def wake(self) -> None:
        """Look for a waiting job now."""
        with self._changed:
            self._changed.notify_all()

    def progress_of(self, job_id: str) -> Progress | None:
        """How far a job is; None if it is not being scored."""
        found = self._progress
        return found[1] if found is not None and found[0] == job_id else None

    def cancel(self, job_id: str) -> None:
        """End the work on a job that was deleted."""
        with self._changed:
            if self._running is not None and self._running.id == job_id:
                self._is_cancelled = True
                self.child.kill()

    def _work(self) -> None:
        failures, last_housekeeping, keep_s = 0, 0.0, self.settings.keep_s
        while not self._stopping:
            if keep_s is not None and time.monotonic() - last_housekeeping > _HOUSEKEEPING_S:
                self._surely(lambda: self.store.delete_old(keep_s))
                last_housekeeping = time.monotonic()
            try:
                self.model = self.child.start()
            except (ChildError, OSError) as error:
                if self._stopping:
                    return
                failures += 1
                pause = min(2.0**failures, _LONGEST_PAUSE_S)
                self.problem = shortened_message(f'The process that scores does not start: {error}')
                self.say(f'{self.problem} Next try in {pause:.0f} s.')
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, pause)
                continue
            if self._stopping:
                return
            failures, self.problem = 0, ''
            job = self._surely(self.store.take)
            if job is None:
                with self._changed:
                    self._changed.wait(_LOOK_EVERY_S)
                continue
            self._run(job)

    def _surely(self, change: Callable[[], T]) -> T | None:
        """Change the list of jobs; while that fails, such as on a full disk, try it again. None when stopping."""
        while True:
            try:
                return change()
            except (sqlite3.Error, OSError) as error:
                self.problem = f'The list of jobs cannot be written: {error}. Make room on its disk.'
                self.say(f'{self.problem} Next try in {_RETRY_S:g} s.')
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, _RETRY_S)
                if self._stopping:
                    return None

    def _run(self, job: Job) -> None:
        has_begun = False

        def on_progress(told: dict[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            share = told.get('share')
            self._progress = job.id, Progress(str(told.get('stage')), None if share is None else float(share))

        start, settings = time.monotonic(), self.settings
        request = {'video': str(self.store.video_of(job)), 'name': job.name, 'out': str(self.store.try_of(job))}
        with self._changed:
            self._running, self._progress = job, (job.id, Progress('scoring', None))
        try:
            outcome = self.child.ask(request, settings.job_limit_s, on_progress)
        except ChildError as error:
            if self._stopping:
                self._surely(lambda: self.store.give_back(job))
                return
            if not has_begun and job.tries < MOST_TRIES and not self._is_cancelled:
                # The process ended before it opened the video.
                self.say(f'{job.id} waits again: {error}')
                self._surely(lambda: self.store.wait_again(job))
                return
            outcome = {'error': _error_of(error, settings)}
        finally:
            with self._changed:
                if self._is_cancelled:  # it may have answered just before it was ended
                    self.child.stop()
                self._running, self._progress, self._is_cancelled = None, None, False
        is_kept = self._surely(lambda: self.store.end_with(job, outcome))
        failed = outcome.get('error')
        how = f'failed ({failed["code"]})' if failed else f'done, events: {outcome["summary"]["events"]}'
        self.say(f'{job.id} {how if is_kept else "deleted while it was scored"}, {time.monotonic() - start:.1f} s')


def _error_of(error: ChildError, settings: ServiceSettings) -> dict[str, str]:
    """Error of a job whose process gave no answer, for people."""
    if isinstance(error, ChildTimeoutError):
        text = f'Scoring took more than {settings.job_limit_s / 60:g} minutes, and was stopped. Send a shorter video.'
    elif isinstance(error, ChildMemoryError):
        text = (
            f'Scoring took more than {settings.job_memory / 2**30:.3g} GiB of memory, and was stopped. Send a shorter '
            'video, or one with smaller pictures.'
        )
    else:
        text = f'The process that scored this video ended: {error}. The video may be damaged. It is not tried again.'
    return {'code': error.code, 'message': text}
