"""Stop training on the first NaN or infinity."""

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

    It runs before the checkpoint of the same iteration is written, so the newest checkpoint on disk is good.

    Args:
        check_weights_every (int): Iterations between checks of all weights; 0 for never. Without gradient clipping, the
            gradient norm is not computed, and only this check finds damaged weights.
    """

    priority = 'VERY_HIGH'

    def __init__(self, check_weights_every: int = 0) -> None:
        self.check_weights_every = check_weights_every
        self._names: list[str] = []

    def before_train(self, runner: Any) -> None:
        """Clear the sample names of an earlier run."""
        self._names = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Check the loss terms, and after an optimizer step the gradient norm.

        Raises:
            TrainingError: One of them is not finite.
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
            # float16's loss scaling expects infinities and skips such steps.
            if not torch.isfinite(torch.tensor(float(norm))) and not (scaler is not None and scaler.is_enabled()):
                self._stop(runner, f'the gradient norm is {norm}', names)
        if self.check_weights_every and (runner.iter + 1) % self.check_weights_every == 0:
            damaged = [n for n, p in runner.bare_model.named_parameters() if not bool(torch.isfinite(p).all())]
            if damaged:
                self._stop(runner, f'{len(damaged)} weights are not finite (first: {damaged[0]})', names)

    @staticmethod
    def _stop(runner: Any, what: str, names: list[str]) -> None:
        good = latest_checkpoint(runner.work_dir)
        kept = f'The last good checkpoint is {good}.' if good else 'No checkpoint had been saved yet.'
        raise TrainingError(
            f'Stopped at iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {what}. Samples: {", ".join(names)}. '
            f'{kept} Look at these samples with tools/browse_dataset.py; lower the learning rates if they are fine.'
        )
