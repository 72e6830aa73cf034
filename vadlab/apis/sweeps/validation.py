"""What a sweep chooses by: a metric of the validation, on samples that are not tested."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from vadlab.datasets.sample_ids import sample_ids
from vadlab.engine.build_errors import config_mistakes
from vadlab.registry import DATASETS, METRICS
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
    missing = [key for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper') if config.get(key) is None]
    if missing:
        raise ConfigError(f'{name} cannot be trained: it sets no {", ".join(missing)}.')
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


def shared_samples(config: Config) -> dict[str, SharedSamples]:
    """Validation samples that are also trained on (``train``) or tested (``test``); a set without any is left out.

    Data sets without ids are compared by their settings.
    """
    with _quiet(), config_mistakes():
        return _shared_samples(config)


def check_same_samples(config: Config, tried: Iterable[tuple[str, str, Config]]) -> None:
    """Check that all trials validate and test on the same samples.

    Else their scores do not compare, and the samples that are tested could be chosen for the validation.

    Args:
        config (Config): The config whose samples were checked.
        tried (Iterable[tuple[str, str, Config]]): Name, value and config of each value that is tried.

    Raises:
        ConfigError: A value changes the samples.
    """
    with _quiet(), config_mistakes():
        for name, text, other in tried:
            for split in ('val', 'test'):
                ours, theirs = ((one.get(f'{split}_dataloader') or {}).get('dataset') for one in (config, other))
                if ours is None or theirs is None or _settings(ours) == _settings(theirs):
                    continue
                if sample_ids(DATASETS.build(_samples_only(ours))) != sample_ids(DATASETS.build(_samples_only(theirs))):
                    kind = 'validation' if split == 'val' else 'test'
                    raise ConfigError(
                        f'--param {name} (tried {text}) changes the {kind} samples. All trials need the same ones: set '
                        'them by --cfg-options.'
                    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Only errors are logged: the trainings log what the data sets have."""
    level = (logger := MMLogger.get_current_instance()).level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _shared_samples(config: Config) -> dict[str, SharedSamples]:
    validation = config.val_dataloader.dataset
    ids = sample_ids(DATASETS.build(_samples_only(validation)))
    found = {}
    for split in ('train', 'test'):
        dataset = (config.get(f'{split}_dataloader') or {}).get('dataset')
        if dataset is None:
            continue
        if not ids or _settings(dataset) == _settings(validation):
            if _settings(dataset) == _settings(validation):
                found[split] = SharedSamples(len(ids), len(ids), str(min(ids, key=str, default='')))
            continue
        shared = ids & sample_ids(DATASETS.build(_samples_only(dataset)))
        if shared:
            found[split] = SharedSamples(len(shared), len(ids), str(min(shared, key=str)))
    return found


def _samples_only(dataset: Mapping) -> dict[str, Any]:
    """A data set's config without its pipeline, which may need files that only a training has."""
    return {**dataset, **({'pipeline': []} if 'pipeline' in dataset else {})}


def _settings(dataset: Mapping) -> dict[str, Any]:
    return {key: value for key, value in dataset.items() if key not in _NOT_SAMPLES}
