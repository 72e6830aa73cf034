"""The trials of a sweep, kept by Optuna in a file, so that an interrupted sweep continues."""

import importlib.util
import itertools
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError
from vadlab.utils.loader_workers import causes

from .search_space import Choice, Param, Range

if TYPE_CHECKING:
    import optuna

SAMPLERS = ('tpe', 'random', 'grid')
_STUDY = 'sweep'
_AGAIN = 'run again as'


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        MissingDependencyError: It is not; the message names the command that installs it.
    """
    if importlib.util.find_spec('optuna') is None or importlib.util.find_spec('sqlalchemy') is None:
        raise MissingDependencyError('A sweep needs Optuna: pip install "vadlab[sweep]"  (or: pip install optuna)')


def grid_of(params: Sequence[Param]) -> list[dict[str, Any]]:
    """All combinations of choices and of ranges with steps, or of whole numbers; the last setting changes fastest.

    Raises:
        ConfigError: A range has no steps.
    """
    axes: list[list[Any]] = []
    for param in params:
        if isinstance(param, Choice):
            axes.append(list(param.values))
        elif param.is_log or (param.step is None and not param.is_whole):
            raise ConfigError(f'--sampler grid: {param.name} needs choices or a step, such as 0.1:0.5:0.1.')
        else:
            step = param.step or 1
            values = [param.low + i * step for i in range(round((param.high - param.low) / step) + 1)]
            axes.append([int(v) if param.is_whole else round(v, 12) for v in values])
    return [dict(zip([p.name for p in params], point, strict=True)) for point in itertools.product(*axes)]


class Study:
    """An Optuna study in ``study.db`` of a folder.

    The sampler of each trial is seeded by the number of trials before it. So a sweep that is interrupted and continued
    tries the same settings as one that is not, if trials run one after another.

    Args:
        folder (Path): Folder of the file; it exists.
        params (Sequence[Param]): The settings to try.
        is_higher_better (bool): Whether higher scores are better.
        sampler (str): One of :data:`SAMPLERS`.
        seed (int): Seed of the sampler.
        prunes (bool): Whether to judge trials by their first validations (Optuna's ``MedianPruner``).
        is_parallel (bool): Whether trials run at the same time; then settings near running trials are avoided.

    Raises:
        DataError: The file cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        params: Sequence[Param],
        is_higher_better: bool,
        sampler: str = 'tpe',
        seed: int = 0,
        prunes: bool = False,
        is_parallel: bool = False,
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            logging.getLogger('alembic').setLevel(logging.ERROR)
            self._optuna = optuna
            self._file = folder / 'study.db'
            with self._usable():
                self._study = optuna.create_study(
                    storage=f'sqlite:///{self._file.absolute()}',
                    study_name=_STUDY,
                    direction='maximize' if is_higher_better else 'minimize',
                    pruner=optuna.pruners.MedianPruner() if prunes else optuna.pruners.NopPruner(),
                    load_if_exists=True,
                )
        self._params = list(params)
        self._sampler, self._seed, self._is_parallel = sampler, seed, is_parallel
        self._space = {param.name: _distribution(optuna, param) for param in params}
        self._grid = grid_of(params) if sampler == 'grid' else []

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """One message for a file that is damaged or cannot be written."""
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, OptunaError, RuntimeError, AssertionError) as error:  # Runtime: of another version
            cause = next((one for one in causes(error) if 'sqlite3' in type(one).__module__), error)
            what = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            raise DataError(
                f'{self._file} cannot be used: {what}. Make room if the disk is full. Remove the folder to start '
                'over, or choose another one with --work-dir.'
            ) from error

    def trials(self) -> 'list[optuna.trial.FrozenTrial]':
        """All trials but those that were interrupted before their settings were drawn, and those that run again."""
        replaced = set(self._study.user_attrs.get(_AGAIN, {}))
        waiting = self._optuna.trial.TrialState.WAITING
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state != waiting and set(trial.params) == set(self._space) and str(trial.number) not in replaced
        ]

    def interrupted(self) -> list[tuple[int, dict[str, str]]]:
        """Numbers and settings of trials that an ended process left unfinished, in order."""
        running = self._optuna.trial.TrialState.RUNNING
        for trial in self._study.get_trials(deepcopy=False, states=(running,)):
            if set(trial.params) != set(self._space):
                self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        return [(trial.number, self.texts(trial.params)) for trial in self.trials() if trial.state == running]

    def start(self) -> 'tuple[optuna.Trial, dict[str, str]]':
        """A new trial and its settings, as ``--cfg-options`` takes them."""
        optuna = self._optuna
        count = len(self.trials())
        if self._sampler == 'tpe':
            sampler: Any = optuna.samplers.TPESampler(seed=self._seed + count, constant_liar=self._is_parallel)
        else:
            sampler = optuna.samplers.RandomSampler(seed=self._seed + count)
        self._study.sampler = sampler
        waiting = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if self._grid and not waiting:
            self._study.enqueue_trial(self._grid[count % len(self._grid)])
        with warnings.catch_warnings(), self._usable():
            warnings.simplefilter('ignore')  # of experimental options of Optuna
            trial = self._study.ask(fixed_distributions=self._space)
        return trial, self.texts(trial.params)

    def retry(self, number: int) -> None:
        """Try the settings of a failed trial again; the failed one no longer counts."""
        (trial,) = [trial for trial in self._study.get_trials(deepcopy=False) if trial.number == number]
        self._study.enqueue_trial(trial.params)
        replaced = {**self._study.user_attrs.get(_AGAIN, {}), str(number): True}
        self._study.set_user_attr(_AGAIN, replaced)

    def finish(self, number: int, score: float | None, is_pruned: bool = False) -> None:
        """Record the result of a trial.

        Args:
            number (int): Its number.
            score (float | None): Its score; None if it failed or was pruned.
            is_pruned (bool): Whether it was pruned.
        """
        states = self._optuna.trial.TrialState
        with self._usable():
            if score is not None:
                self._study.tell(number, score)
            else:
                self._study.tell(number, state=states.PRUNED if is_pruned else states.FAIL)

    def texts(self, values: dict[str, Any]) -> dict[str, str]:
        """Settings as ``--cfg-options`` takes them, in the order in which they were given."""
        return {param.name: param.text(values[param.name]) for param in self._params}

    @property
    def size(self) -> int | None:
        """Number of combinations of a grid; None for other samplers."""
        return len(self._grid) or None


def _distribution(optuna: Any, param: Param) -> Any:
    if isinstance(param, Choice):
        return optuna.distributions.CategoricalDistribution(param.values)
    assert isinstance(param, Range)
    if param.is_whole:
        return optuna.distributions.IntDistribution(
            int(param.low), int(param.high), log=param.is_log, step=int(param.step or 1)
        )
    return optuna.distributions.FloatDistribution(param.low, param.high, log=param.is_log, step=param.step)
