"""One training run of a sweep, in a process of its own."""

import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vadlab.engine.hooks.run_state_hook import read_run_state
from vadlab.engine.work_dir_lock import WorkDirLock
from vadlab.utils.json_file import read_json_lines
from vadlab.utils.own_files import TOOLS

from .validation import Aim

_POLL_S = 0.5
_LAST_WORDS = re.compile(r'^(?:error: |\w[\w.]*(?:Error|Exception|Interrupt)\b)')


class TrialFailed(Exception):
    """A training run of a trial ended without a result; the message is the reason, in one line."""


class TrialPruned(Exception):
    """A training run was stopped because its validations were worse than those of other trials."""


@dataclass
class TrialRun:
    """One training run.

    Attributes:
        config (str): Config file of the experiment.
        folder (Path): Its work dir.
        seed (int): Seed of all random generators.
        options (Sequence[str]): ``KEY=VALUE`` changes of the config.
        aim (Aim): The metric to read.
        environment (Mapping[str, str]): Environment variables of the process, beside those of this one.
    """

    config: str
    folder: Path
    seed: int
    options: Sequence[str]
    aim: Aim
    environment: Mapping[str, str]
    process: subprocess.Popen | None = None
    is_stopped: bool = False

    def command(self) -> list[str]:
        """The command that trains; it continues an interrupted run, and does nothing for a finished one."""
        hook = 'default_hooks.checkpoint'
        chosen = [f'{hook}.save_best={self.aim.metric}', f'{hook}.rule={self.aim.rule}']
        return [
            sys.executable,
            str(TOOLS / 'train.py'),
            self.config,
            *('--work-dir', str(self.folder), '--resume', '--seed', str(self.seed)),
            *('--cfg-options', *self.options, *chosen),
        ]

    def score(self, on_validation: Callable[[int, float], None] | None = None) -> float:
        """Train, unless that is done, and return the best validation of the run, as its best checkpoint has.

        Args:
            on_validation (Callable): Called with the number and value of each validation as it is computed. It may
                raise :class:`TrialPruned`, which ends the run.

        Raises:
            TrialFailed: The run ended without a result.
            TrialPruned: See ``on_validation``.
        """
        if read_run_state(self.folder) != 'finished':
            self._wait_for_former_run()
            self._train(on_validation)
        values = self.validations()
        finite = [value for value in values if math.isfinite(value)]
        if not values:
            raise TrialFailed(f'no validation computed {self.aim.metric}')
        if not finite:
            raise TrialFailed(f'{self.aim.metric} is not a finite number in any of {len(values)} validations')
        return self.aim.best(finite)

    def _wait_for_former_run(self) -> None:
        """Wait for a run of a killed sweep that still trains in this folder."""
        lock = WorkDirLock(self.folder)
        while not self.is_stopped and lock.is_taken():
            time.sleep(_POLL_S)

    def _train(self, on_validation: Callable[[int, float], None] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / 'train.out'
        with open(log, 'ab') as file:
            file.write(f'$ {shlex.join(self.command())}\n'.encode())
            file.flush()
            start = file.tell()
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,  # Ctrl-C goes to the sweep, which ends its runs
            )
        try:
            if self.is_stopped:  # while the process was started
                self.stop()
            self._watch(on_validation)
        except TrialPruned:
            self.stop()
            self.process.wait()
            raise
        if self.process.returncode:
            raise TrialFailed(failure(self.process.returncode, log, start))

    def _watch(self, on_validation: Callable[[int, float], None] | None) -> None:
        """Wait for the process; report validations as they appear."""
        assert self.process is not None
        reported = 0
        while True:
            try:
                self.process.wait(None if on_validation is None else _POLL_S)
                return
            except subprocess.TimeoutExpired:
                values = self.validations()
                for number, value in enumerate(values[reported:], reported):
                    if on_validation is not None:
                        on_validation(number, value)
                reported = len(values)

    def stop(self) -> None:
        """Ask the process to end, from any thread."""
        self.is_stopped = True
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def validations(self) -> list[float]:
        """Values of the metric in all validations of the run, in order of training; NaN and infinity included."""
        found: dict[int, float] = {}
        for log in sorted(self.folder.glob('*/vis_data/scalars.json')):
            for _, record in read_json_lines(log, is_finite=False):
                value = record.get(self.aim.metric) if isinstance(record, dict) else None
                if isinstance(value, int | float):
                    found[int(record.get('step', 0))] = float(value)
        return [found[step] for step in sorted(found)]

    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best validation."""
        pattern = f'best_{self.aim.metric.replace("/", "_")}_*.pth'
        return max(self.folder.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)


def failure(status: int, log: Path, start: int = 0) -> str:
    """Why a process ended, in one line.

    Args:
        status (int): Its exit status; negative for a signal.
        log (Path): What it printed.
        start (int): Position in that file at which its output starts.
    """
    with open(log, 'rb') as file:
        file.seek(start)
        lines = file.read().decode(errors='replace').splitlines()
    at = next((i for i in reversed(range(len(lines))) if _LAST_WORDS.match(lines[i])), len(lines))
    said = ' '.join(lines[at : at + 1]).removeprefix('error: ')
    if said.endswith('a setting cannot be used.'):  # which one is in the next lines
        said = ' '.join([said, *map(str.strip, lines[at + 1 :])])
    if 'out of memory' in said.lower() or said.startswith('MemoryError'):
        return f'out of memory: {said}'
    if status == -signal.SIGKILL:
        return 'killed by signal 9, as the system does when memory is full'
    if status < 0:
        return f'killed by signal {-status} ({signal.Signals(-status).name})'
    return said or f'exit status {status}'
