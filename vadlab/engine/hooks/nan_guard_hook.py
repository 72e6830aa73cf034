"""Stop training on the first NaN or infinity."""

import math
from typing import Any, NamedTuple

import torch
from mmengine.hooks import Hook

from vadlab.checkpoints.checkpoint_io import latest_checkpoint
from vadlab.registry import HOOKS
from vadlab.utils.errors import TrainingError

from ..late_scalars import LateScalars
from ..loops.resumable_epoch_loop import sample_names


class _Step(NamedTuple):
    """A batch to check: its place, its loss terms, and the samples that its gradient norm depends on."""

    iteration: int
    epoch: int
    scalars: LateScalars
    names: list[str]
    names_of_step: list[str]


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stops when a loss, a gradient or a weight is not finite, and names the samples.

    Values on a GPU are checked one step later, when they have arrived, so that the host does not wait for the GPU in
    every step. They are also checked before a checkpoint is written, so the newest checkpoint on disk is good.

    Args:
        check_weights_every (int): Iterations between checks of all weights; 0 for never. Without gradient clipping, the
            gradient norm is not computed, and only this check finds damaged weights.
    """

    priority = 'VERY_HIGH'

    def __init__(self, check_weights_every: int = 0) -> None:
        self.check_weights_every = check_weights_every
        self._names: list[str] = []
        self._waiting: list[_Step] = []

    def before_train(self, runner: Any) -> None:
        """Clear the samples and values of an earlier run."""
        self._names, self._waiting = [], []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Check the loss terms, and after an optimizer step the gradient norm.

        Raises:
            TrainingError: One of them is not finite.
        """
        names = sample_names(data_batch)
        self._names += names
        # Several values of one name are finite if their sum is.
        values = {k: v.sum() if torch.is_tensor(v) else v for k, v in (outputs or {}).items()}
        names_of_step: list[str] = []
        if runner.optim_wrapper.should_update():
            names_of_step, self._names = self._names, []
            scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
            norm = getattr(runner.optim_wrapper, 'grad_norm', None)
            # float16's loss scaling expects infinities and skips such steps.
            if norm is not None and not (scaler is not None and scaler.is_enabled()):
                values[_NORM] = norm
        step = _Step(runner.iter, runner.epoch, LateScalars(values), names, names_of_step)
        self._waiting.append(step)
        self._check(runner, leave=1 if step.scalars.is_late else 0)
        due = self.check_weights_every and (runner.iter + 1) % self.check_weights_every == 0
        if names_of_step and due:
            damaged = [n for n, p in runner.bare_model.named_parameters() if not bool(torch.isfinite(p).all())]
            if damaged:
                what = f'{len(damaged)} weights are not finite (first: {damaged[0]})'
                self._stop(runner, step, what, names_of_step, runner.world_size > 1)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Check what has not been checked yet, before the file is written."""
        self._check(runner)

    def before_val(self, runner: Any) -> None:
        """Check what has not been checked yet."""
        self._check(runner)

    def after_train(self, runner: Any) -> None:
        """Check what has not been checked yet."""
        self._check(runner)

    def _check(self, runner: Any, leave: int = 0) -> None:
        while len(self._waiting) > leave:
            step = self._waiting.pop(0)
            bad = {name: value for name, value in step.scalars.read().items() if not math.isfinite(value)}
            norm = bad.pop(_NORM, None)
            if bad:
                self._stop(runner, step, f'{", ".join(bad)} is not finite', step.names)
            if norm is not None:
                shared = ' over all processes' if runner.world_size > 1 else ''  # another's samples may have caused it
                self._stop(runner, step, f'the gradient norm{shared} is {norm}', step.names_of_step, bool(shared))

    @staticmethod
    def _stop(runner: Any, step: _Step, what: str, names: list[str], is_shared: bool = False) -> None:
        good = latest_checkpoint(runner.work_dir)
        kept = f'The last good checkpoint is {good}.' if good else 'No checkpoint had been saved yet.'
        raise TrainingError(
            f'Stopped at iteration {step.iteration + 1} (epoch {step.epoch + 1}): {what}. Samples'
            f'{" of this process" if is_shared else ""}: {", ".join(names)}. '
            f'{kept} Look at these samples with tools/browse_dataset.py; lower the learning rates if they are fine.'
        )


_NORM = ' gradient norm'  # cannot be the name of a loss term
