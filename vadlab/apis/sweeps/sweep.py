"""Run the trials of a sweep: each seed of each trial is a training in a process of its own."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, shape_fault, write_json
from vadlab.utils.many_files import Engine
from vadlab.utils.printable import say

from .search_space import Param
from .study import Study
from .trial_run import TrialFailed, TrialPruned, TrialRun
from .validation import Aim

if TYPE_CHECKING:
    import optuna

RESULT_FILE = 'trial.json'
_SHAPE = {
    'state': str,
    'settings': {str: str},
    'scores': {str: float},
    'reason': str,
    'seconds': float,
    'same_as?': int,
}


@dataclass
class TrialResult:
    """What came of one trial.

    Attributes:
        state (str): ``done``, ``failed`` or ``pruned``.
        settings (dict[str, str]): Values of the settings, as ``--cfg-options`` takes them.
        scores (dict[str, float]): The best validation of each finished training, by seed.
        reason (str): Why it failed or was pruned.
        seconds (float): Time that it took, since the last start of the sweep.
        same_as (int | None): The trial with the same settings whose scores it has; it was not trained again.
        number (int): Its number.
    """

    state: str
    settings: dict[str, str]
    scores: dict[str, float] = field(default_factory=dict)
    reason: str = ''
    seconds: float = 0.0
    same_as: int | None = None
    number: int = -1

    @property
    def score(self) -> float | None:
        """Mean over the seeds; None for a trial that is not ``done``."""
        return statistics.fmean(self.scores.values()) if self.state == 'done' else None

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single seed."""
        return statistics.stdev(self.scores.values()) if self.state == 'done' and len(self.scores) > 1 else None


def read_trial(path: Path) -> TrialResult:
    """Read the result of a trial.

    Raises:
        MissingFileError, DataError: There is no such file, or its content is not a result.
    """
    content = read_json(path)
    if fault := shape_fault(content, _SHAPE):
        raise DataError(f'{path} is not the result of a trial: {fault}. Remove the folder of the sweep to start over.')
    return TrialResult(**{key.rstrip('?'): content.get(key.rstrip('?')) for key in _SHAPE})


class Sweep:
    """A sweep in a folder: ``study.db``, and ``trial_000/seed0`` and so on with the training runs.

    Args:
        config (str): Config file of the experiment.
        folder (Path): Its folder.
        params (Sequence[Param]): The settings to try.
        options (Sequence[str]): ``KEY=VALUE`` changes of the config that apply to all trials.
        seeds (Sequence[int]): Seeds of each trial.
        aim (Aim): The metric by which trials are compared.
        study (Study): Where trials are kept.
        jobs (int): Number of trials that run at the same time.
        prunes (bool): Whether the first seed of a trial may be stopped after a bad validation.
        keep_all (bool): Keep the checkpoints of all trials, not only of the best.
    """

    def __init__(
        self,
        config: str,
        folder: Path,
        params: Sequence[Param],
        options: Sequence[str],
        seeds: Sequence[int],
        aim: Aim,
        study: Study,
        jobs: int = 1,
        prunes: bool = False,
        keep_all: bool = False,
    ) -> None:
        self.config, self.folder, self.params, self.options = config, folder, params, list(options)
        self.seeds, self.aim, self.study, self.jobs = list(seeds), aim, study, jobs
        self.prunes, self.keep_all = prunes, keep_all
        self._active: dict[int, list[TrialRun]] = {}
        self._ending = False

    def run(self, trials: int) -> None:
        """Run trials until there are ``trials`` of them; first those that were interrupted.

        A trial whose training fails is recorded as failed, and the sweep goes on.
        """
        waiting = self.study.interrupted()
        for number, settings in waiting:
            say(f'Trial {number} was interrupted and continues: {shown(settings)}')
        slots = list(range(self.jobs))
        futures: dict[Future, tuple[int, int]] = {}
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                while True:
                    while slots and (waiting or len(self.study.trials()) < trials):
                        trial: optuna.Trial | None = None
                        if waiting:
                            number, settings = waiting.pop(0)
                        else:
                            trial, settings = self.study.start()
                            number = trial.number
                        place = f'Trial {number} ({len(self.study.trials())} of {trials})'
                        say(f'{place}: {shown(settings)}', flush=True)
                        slot = slots.pop(0)
                        futures[pool.submit(self._carry_out, number, settings, slot, trial)] = (number, slot)
                    if not futures:
                        return
                    for future in wait(futures, return_when=FIRST_COMPLETED).done:
                        number, slot = futures.pop(future)
                        slots.append(slot)
                        self._record(number, future.result())
            except BaseException:
                self._ending = True
                for runs in list(self._active.values()):
                    for run in runs:
                        run.stop()
                raise

    def _carry_out(self, number: int, settings: dict[str, str], slot: int, trial: 'optuna.Trial | None') -> TrialResult:
        """Train all seeds of a trial; called in a thread."""
        start = time.monotonic()
        result = TrialResult('done', settings, number=number)
        twin = self._twin(result)
        if twin is not None:
            result.scores, result.same_as = dict(twin.scores), twin.number
            return result
        runs = self._active[number] = self.runs(number, settings, slot_environment(slot, self.jobs))
        for place, run in enumerate(runs):
            try:
                judged = trial if self.prunes and place == 0 else None
                result.scores[str(run.seed)] = run.score(judge(judged) if judged is not None else None)
            except (TrialFailed, TrialPruned, DataError) as error:
                result.state = 'pruned' if isinstance(error, TrialPruned) else 'failed'
                result.reason = f'seed {run.seed}: {error}'
                break
        del self._active[number]
        result.seconds = round(time.monotonic() - start, 1)
        return result

    def runs(self, number: int, settings: dict[str, str], environment: dict[str, str] | None = None) -> list[TrialRun]:
        """The training runs of a trial, one per seed."""
        options = [*self.options, *(f'{name}={text}' for name, text in settings.items())]
        place = self.trial_folder(number)
        return [
            TrialRun(self.config, place / f'seed{seed}', seed, options, self.aim, environment or {})
            for seed in self.seeds
        ]

    def trial_folder(self, number: int) -> Path:
        """Folder of a trial."""
        return self.folder / f'trial_{number:03d}'

    def _twin(self, result: TrialResult) -> TrialResult | None:
        """A finished trial with the same settings."""
        return next((one for one in self.results() if one.state == 'done' and one.settings == result.settings), None)

    def _record(self, number: int, result: TrialResult) -> None:
        if self._ending:  # its processes were stopped; the trial continues later
            return
        before = best_of(self.results(), self.aim)
        folder = self.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        content = asdict(result)
        write_json(folder / RESULT_FILE, {key: value for key, value in content.items() if key != 'number'})
        self.study.finish(number, result.score, result.state == 'pruned')
        score = result.score
        if score is None:
            say(f'Trial {number} {result.state}: {result.reason}', flush=True)
        else:
            is_best = before is None or self.aim.is_better(score, before.score)  # type: ignore[arg-type]
            same = f', as trial {result.same_as}' if result.same_as is not None else ''
            best = ', the best so far' if is_best else ''
            say(f'Trial {number}: {self.aim.metric} {shown_score(result)}{same}{best}', flush=True)
        if not self.keep_all:
            self._remove_checkpoints()

    def results(self) -> list[TrialResult]:
        """Results of all finished trials, in order."""
        found = []
        for trial in self.study.trials():
            path = self.trial_folder(trial.number) / RESULT_FILE
            if trial.state.is_finished() and path.is_file():
                result = read_trial(path)
                result.number = trial.number
                found.append(result)
        return found

    def _remove_checkpoints(self) -> None:
        """Remove the checkpoints of finished trials that are not the best."""
        results = self.results()
        best = best_of(results, self.aim)
        for result in results:
            if result.state == 'failed' or (best is not None and result.number == best.number):
                continue
            for path in self.trial_folder(result.number).glob('seed*/*.pth'):
                path.unlink(missing_ok=True)


def best_of(results: Sequence[TrialResult], aim: Aim) -> TrialResult | None:
    """The trial with the best mean score; the first of equal ones. None if no trial is done."""
    sign = 1 if aim.is_higher_better else -1
    done = [(sign * result.score, result) for result in results if result.score is not None]
    return max(done, key=lambda one: one[0], default=(0.0, None))[1]


def judge(trial: 'optuna.Trial') -> Callable[[int, float], None]:
    """A function that reports validations to Optuna; it raises :class:`TrialPruned` for a trial below the median."""

    def on_validation(number: int, value: float) -> None:
        trial.report(value, number)
        if trial.should_prune():
            raise TrialPruned(f'validation {number + 1} was {value:.4f}, worse than the median of earlier trials')

    return on_validation


def slot_environment(slot: int, jobs: int) -> dict[str, str]:
    """Environment variables of one of several parallel runs: one GPU each, and its share of the cores."""
    if jobs == 1:
        return {}
    import torch

    found = {}
    if 'OMP_NUM_THREADS' not in os.environ:
        found['OMP_NUM_THREADS'] = str(max(1, Engine(workers=None).count // jobs))
    listed = os.environ.get('CUDA_VISIBLE_DEVICES')
    devices = listed.split(',') if listed else [str(i) for i in range(torch.cuda.device_count())]
    if len(devices) > 1:
        found['CUDA_VISIBLE_DEVICES'] = devices[slot % len(devices)]
    return found


def shown(settings: dict[str, str]) -> str:
    """Settings in one line, with numbers of four digits."""
    return ' '.join(f'{name}={short(text)}' for name, text in settings.items())


def short(text: str) -> str:
    """A value with numbers of four digits."""
    try:
        return text if text.lstrip('-').isdecimal() else f'{float(text):.4g}'
    except ValueError:
        return text


def shown_score(result: TrialResult) -> str:
    """Mean and spread of a trial's scores."""
    spread = result.spread
    return f'{result.score:.4f}' + (f' ± {spread:.4f}' if spread is not None else '')
