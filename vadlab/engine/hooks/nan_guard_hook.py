"""Stopping at the first number that is none."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.checkpoints.checkpoint_io import latest_checkpoint
from vadlab.registry import HOOKS
from vadlab.utils.errors import TrainingError

from ..loops.resumable_epoch_loop import sample_names


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Stops when a loss, a gradient or a weight is not finite, and names the samples.

    It acts before any checkpoint of that iteration is written, so that the newest one on disk is good.

    Args:
        check_weights_every (int): Iterations between looks at all weights, which a gradient without clipping may have
            spoilt unseen; 0 for never.
    """

    priority = 'VERY_HIGH'

    def __init__(self, check_weights_every: int = 0) -> None:
        self.check_weights_every = check_weights_every
        self._names: list[str] = []

    def before_train(self, runner: Any) -> None:
        """Start with a clean slate."""
        self._names = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Look at the loss terms, and after an optimizer step at the gradient.

        Raises:
            TrainingError: One is not finite.
        """
        names = sample_names(data_batch)
        bad = [k for k, v in (outputs or {}).items() if not bool(torch.isfinite(torch.as_tensor(v)).all())]
        if bad:
            self._stop(runner, f'{", ".join(bad)} is not finite', names)
        self._names += names
        if not runner.optim_wrapper.should_update():
            return
        names, self._names = self._names, []
        norms = runner.message_hub.log_scalars.get('train/grad_norm')
        if norms is not None and len(norms.data[0]):
            norm = norms.current()
            scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
            # float16's loss scaling meets infinities on purpose and skips the step.
            if not torch.isfinite(torch.tensor(float(norm))) and not (scaler is not None and scaler.is_enabled()):
                self._stop(runner, f'the gradient norm is {norm}', names)
        if self.check_weights_every and (runner.iter + 1) % self.check_weights_every == 0:
            spoilt = [n for n, p in runner.bare_model.named_parameters() if not bool(torch.isfinite(p).all())]
            if spoilt:
                self._stop(runner, f'{len(spoilt)} weights are not finite (first: {spoilt[0]})', names)

    @staticmethod
    def _stop(runner: Any, what: str, names: list[str]) -> None:
        good = latest_checkpoint(runner.work_dir)
        kept = f'The last good checkpoint is {good}.' if good else 'No checkpoint had been saved yet.'
        raise TrainingError(
            f'Stopped at iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {what}. Samples: {", ".join(names)}. '
            f'{kept} Look at these samples with tools/browse_dataset.py; lower the learning rates if they are fine.'
        )
