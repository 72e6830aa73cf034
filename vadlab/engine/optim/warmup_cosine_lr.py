"""Learning-rate schedule with linear warm-up and cosine decay."""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from vadlab.registry import PARAM_SCHEDULERS
from vadlab.utils.errors import ConfigError


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Linear warm-up, then half a cosine down to ``min_ratio`` of each group's learning rate.

    It counts optimizer steps, with and without gradient accumulation: step ``s`` of ``n`` (from 0) uses ``(s + 1) / w``
    of the rate during the ``w`` warm-up steps, and ``min + (1 - min) (1 + cos(pi (s - w) / (n - w))) / 2`` after them.

    Args:
        optimizer (Optimizer | OptimWrapper): The optimizer whose ``lr`` is set.
        end (int): Steps of the run, n; set by the runner.
        warmup_ratio (float): Share of warm-up steps, 0..1.
        warmup_steps (int | None): Number of warm-up steps, instead of a share.
        min_ratio (float): Rate at the end of the cosine, relative to the peak, 0..1.
        last_step (int): Last step of a run that continues without its saved state; -1 to start.
        by_epoch (bool): Must be False; the Runner reads it.
        epoch_length (int | None): Set by the Runner, not used.
        verbose (bool): Log every change.

    Raises:
        ConfigError: A ratio outside 0..1, or ``by_epoch``.
    """

    def __init__(
        self,
        optimizer: Any,
        end: int,
        warmup_ratio: float = 0.1,
        warmup_steps: int | None = None,
        min_ratio: float = 0.0,
        last_step: int = -1,
        by_epoch: bool = False,
        epoch_length: int | None = None,
        verbose: bool = False,
    ) -> None:
        del epoch_length
        if by_epoch:
            raise ConfigError('WarmupCosineLR counts optimizer steps: leave by_epoch=False.')
        if not 0 <= warmup_ratio <= 1 or not 0 <= min_ratio <= 1:
            raise ConfigError('WarmupCosineLR: warmup_ratio and min_ratio must lie in 0..1.')
        self.steps = end
        self.warmup = min(warmup_steps if warmup_steps is not None else round(warmup_ratio * end), end)
        self.min_ratio = min_ratio
        super().__init__(optimizer, 'lr', end=max(end, 1), last_step=last_step, by_epoch=False, verbose=verbose)

    def _get_value(self) -> list[float]:
        step = self.last_step
        if step < self.warmup:
            factor = (step + 1) / self.warmup
        else:
            progress = (step - self.warmup) / max(self.steps - self.warmup, 1)
            factor = self.min_ratio + (1 - self.min_ratio) * (1 + math.cos(math.pi * progress)) / 2
        return [base * factor for base in self.base_values]
