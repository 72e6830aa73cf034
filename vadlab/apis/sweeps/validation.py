"""What a sweep chooses by: a metric of the validation, on samples that are not tested."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from vadlab.datasets.sample_ids import sample_ids
from vadlab.engine.build_errors import config_mistakes
from vadlab.registry import DATASETS, METRICS
from vadlab.utils.config import require_parts
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

#: Settings of a data set that do not change which samples it has.
_NOT_SAMPLES = {'pipeline', 'test_mode', 'shuffle_images'}


@dataclass(frozen=True)
class Aim:
    """The metric by which a sweep chooses.

    Attributes:
        metric (str): Its key, such as ``frame/auc``.
        is_higher_better (bool): Whether higher values are better.
    """

    metric: str
    is_higher_better: bool

    @property
    def rule(self) -> str:
        """The rule of ``CheckpointHook``: ``greater`` or ``less``."""
        return 'greater' if self.is_higher_better else 'less'

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value is better than another one."""
        return value > than if self.is_higher_better else value < than

    def best(self, values: list[float]) -> float:
        """The best of some values, at least one."""
        return max(values) if self.is_higher_better else min(values)


def require_training(config: Config, name: str) -> None:
    """Check that a config trains and validates.

    Raises:
        ConfigError: It does not.
    """
    require_parts(config, name, 'trained')
    missing = [key for key in ('val_dataloader', 'val_cfg', 'val_evaluator') if config.get(key) is None]
    if missing:
        raise ConfigError(f'{name} does not validate: it sets no {", ".join(missing)}. A sweep chooses by validation.')


def find_aim(config: Config, name: str, metric: str | None, direction: str | None) -> Aim:
    """The metric by which trials are compared, by default the one by which the config keeps its best checkpoint.

    Args:
        config (Config): The config.
        name (str): Its name, for messages.
        metric (str | None): The metric that the user names.
        direction (str | None): ``max`` or ``min``; None: as the config or the metric's class declares.

    Raises:
        ConfigError: The validation does not compute the metric, or it is not known which values are better.
    """
    hook = (config.get('default_hooks') or {}).get('checkpoint') or {}
    saved = hook.get('save_best')
    wanted = metric or (saved if isinstance(saved, str) and saved != 'auto' else None)
    if wanted is None:
        raise ConfigError(f'{name} names no single metric in save_best. Name one: --metric frame/auc')
    known = _directions(config)
    if known and wanted not in known:
        raise ConfigError(f'The validation of {name} does not compute {wanted!r}. {nearest(wanted, sorted(known))}')
    if direction is not None:
        return Aim(wanted, direction == 'max')
    if wanted == saved and hook.get('rule') is not None:
        return Aim(wanted, hook['rule'] == 'greater')
    if wanted not in known:
        raise ConfigError(f'It is not known whether higher values of {wanted} are better: add --direction max or min.')
    return Aim(wanted, known[wanted])


def _directions(config: Config) -> dict[str, bool]:
    """Whether higher is better, by metric of the validation; empty if a metric of another project is among them."""
    evaluator = config.val_evaluator
    found: dict[str, bool] = {}
    for settings in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        metric = METRICS.build(settings)
        declared = getattr(metric, 'higher_is_better', None)
        if not isinstance(declared, Mapping) or not declared:
            return {}
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        found |= {f'{prefix}{key}': better for key, better in declared.items()}
    return found


@dataclass(frozen=True)
class SharedSamples:
    """Validation samples that another set has, too.

    Attributes:
        count (int): How many; 0 for data sets without ids, which have the same settings.
        total (int): Number of validation samples.
        first (str): The first of them.
    """

    count: int
    total: int
    first: str

    def __str__(self) -> str:
        if not self.total:
            return 'the validation samples'
        return f'{self.count} of {self.total} validation samples (first: {self.first})'


class SampleSets:
    """Samples of the data sets of configs. Each data set is built once, although many configs may have it."""

    def __init__(self) -> None:
        self._known: list[tuple[dict[str, Any], set[Any]]] = []

    def shared(self, config: Config) -> dict[str, SharedSamples]:
        """Validation samples that are also trained on (``train``) or tested (``test``); sets without any are left out.

        Data sets without ids are compared by their settings.
        """
        validation = config.val_dataloader.dataset
        ids, found = self._ids(validation), {}
        for split in ('train', 'test'):
            dataset = _dataset(config, split)
            if dataset is None:
                continue
            if _settings(dataset) == _settings(validation):
                found[split] = SharedSamples(len(ids), len(ids), str(min(ids, key=str, default='')))
            elif shared := ids and ids & self._ids(dataset):
                found[split] = SharedSamples(len(shared), len(ids), str(min(shared, key=str)))
        return found

    def check_same(self, config: Config, tried: Sequence[tuple[str, str, Config]]) -> None:
        """Check that all trials validate and test on the same samples.

        Else their scores do not compare, and the samples that are tested could be chosen for the validation.

        Args:
            config (Config): The config whose samples were checked.
            tried (Sequence[tuple[str, str, Config]]): Output of :func:`~vadlab.apis.sweeps.search_space.check_params`.

        Raises:
            ConfigError: A value changes the samples.
        """
        first = tried[0][2]  # every parameter has its first value
        compared = [(f'--param {name} (tried {text})', first, other) for name, text, other in tried]
        for what, one, other in [*compared, ('--param (tried the first values)', config, first)]:
            for split, kind in (('val', 'validation'), ('test', 'test')):
                ours, theirs = _dataset(one, split), _dataset(other, split)
                if ours is None or theirs is None or _settings(ours) == _settings(theirs):
                    continue
                if self._ids(ours) != self._ids(theirs):
                    raise ConfigError(
                        f'{what} changes the {kind} samples. All trials need the same ones: set them by --cfg-options.'
                    )

    def _ids(self, dataset: Mapping) -> set[Any]:
        settings = _settings(dataset)
        for known, ids in self._known:
            if known == settings:
                return ids
        # The pipeline is left out: it may need files that only a training has.
        without = {**dataset, **({'pipeline': []} if 'pipeline' in dataset else {})}
        with _quiet(), config_mistakes():
            ids = sample_ids(DATASETS.build(without))
        self._known.append((settings, ids))
        return ids


@contextmanager
def _quiet() -> Iterator[None]:
    """Only errors are logged: the trainings log what the data sets have."""
    level = (logger := MMLogger.get_current_instance()).level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _dataset(config: Config, split: str) -> Mapping | None:
    return (config.get(f'{split}_dataloader') or {}).get('dataset')


def _settings(dataset: Mapping) -> dict[str, Any]:
    return {key: value for key, value in dataset.items() if key not in _NOT_SAMPLES}
