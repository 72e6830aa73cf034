"""Cosine learning-rate schedule of one parameter group."""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from vadlab.registry import PARAM_SCHEDULERS
from vadlab.utils.errors import ConfigError


@PARAM_SCHEDULERS.register_module()
class GroupCosineLR(_ParamScheduler):
    """Half a cosine for one named parameter group. Other groups need their own schedules.

    Counted in optimizer steps. During the ``w`` steps of warm-up, step ``s`` (from 0) uses ``s / (w - 1)`` of the
    group's rate. After it, ``min + (1 - min) (1 + cos(pi (s - w) / (stretch * n - w))) / 2`` of it.

    Args:
        optimizer (Optimizer | OptimWrapper): An optimizer whose groups have a ``name``, see NamedGroupsConstructor.
        group (str): Name of the group.
        end (int): Steps of the run, n; set by the runner.
        warmup_steps (int): Warm-up steps, w; the first one has a rate of 0.
        min_ratio (float): Rate at the end of the cosine, relative to the group's rate, 0..1.
        stretch (float): Length of the cosine divided by that of the run, >= 1: at 2 the run ends half-way down.
        stairs (int | None): Number of equal parts of the run, such as epochs, with a constant rate each; None changes
            the rate at each step.
        last_step (int): Last step of a run that continues without its saved state; -1 to start.
        by_epoch (bool): Must be False; the Runner reads it.
        epoch_length (int | None): Set by the Runner, not used.
        verbose (bool): Log every change.

    Raises:
        ConfigError: No group of this name, a value out of range, or ``by_epoch``.
    """

    def __init__(
        self,
        optimizer: Any,
        group: str,
        end: int,
        warmup_steps: int = 0,
        min_ratio: float = 0.0,
        stretch: float = 1.0,
        stairs: int | None = None,
        last_step: int = -1,
        by_epoch: bool = False,
        epoch_length: int | None = None,
        verbose: bool = False,
    ) -> None:
        del epoch_length
        names = [g.get('name') for g in optimizer.param_groups]
        if group not in names:
            raise ConfigError(f'GroupCosineLR: the optimizer has no group {group!r}, only {names}.')
        if by_epoch:
            raise ConfigError('GroupCosineLR counts optimizer steps: leave by_epoch=False.')
        if not 0 <= min_ratio <= 1 or stretch < 1 or warmup_steps < 0 or (stairs is not None and stairs < 1):
            raise ConfigError(
                'GroupCosineLR: min_ratio must lie in 0..1, stretch and stairs be at least 1 and warmup_steps at least '
                f'0, not min_ratio={min_ratio}, stretch={stretch}, stairs={stairs}, warmup_steps={warmup_steps}.'
            )
        self.group = group
        self.steps = end
        self.warmup_steps = warmup_steps
        self.min_ratio = min_ratio
        self.stretch = stretch
        self.stairs = stairs
        super().__init__(optimizer, 'lr', end=max(end, 1), last_step=last_step, by_epoch=False, verbose=verbose)

    def _get_value(self) -> list[float]:
        factor = self._factor(self.last_step)
        return [
            base * factor if group.get('name') == self.group else group['lr']
            for base, group in zip(self.base_values, self.optimizer.param_groups, strict=True)
        ]

    def _factor(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / max(self.warmup_steps - 1, 1)
        done = float(step) if self.stairs is None else step * self.stairs // self.steps * self.steps / self.stairs
        progress = max(done - self.warmup_steps, 0) / max(self.stretch * self.steps - self.warmup_steps, 1)
        return self.min_ratio + (1 - self.min_ratio) * (1 + math.cos(math.pi * progress)) / 2
