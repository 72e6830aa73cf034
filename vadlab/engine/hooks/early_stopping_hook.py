"""Early stopping."""

from collections.abc import Iterable
from typing import Any

from mmengine.hooks import EarlyStoppingHook as MMEarlyStoppingHook

from vadlab.checkpoints.training_state import check_same_kind
from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest


@HOOKS.register_module()
class EarlyStoppingHook(MMEarlyStoppingHook):
    """MMEngine's hook with a minimum number of epochs, and with a count that is restored in a resumed run.

    Args:
        monitor (str): Metric of the validation.
        rule (str): Which values are better, ``greater`` or ``less``.
        min_delta (float): Smallest change that counts as an improvement.
        patience (int): Number of validations without improvement after which training stops.
        min_epochs (int): Training does not stop before this many epochs.

    Raises:
        ConfigError: The validation has no such metric.
    """

    # Runs before the checkpoint hook, which saves the count together with a new best score.
    priority = 'LOW'

    def __init__(
        self,
        monitor: str,
        rule: str = 'greater',
        min_delta: float = 1e-6,
        patience: int = 5,
        min_epochs: int = 0,
    ) -> None:
        super().__init__(monitor, rule=rule, min_delta=min_delta, patience=patience)
        self.min_epochs = min_epochs

    def before_run(self, runner: Any) -> None:
        """Skip MMEngine's check of the training loop: ours can be stopped, and a test has no training loop."""

    def check_metrics(self, metrics: Iterable[str]) -> None:
        """Check that ``monitor`` is a metric of the validation. The sanity check calls this before training.

        Raises:
            ConfigError: The message names the nearest metrics.
        """
        known = sorted(metrics)
        if self.monitor not in known:
            raise ConfigError(
                f'EarlyStoppingHook: monitor={self.monitor!r} is not a metric of the validation. '
                f'{nearest(self.monitor, known)}'
            )

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Update the count, and stop the training if ``patience`` is exhausted."""
        self.check_metrics(metrics or {})
        super().after_val_epoch(runner, metrics)
        if runner.train_loop.stop_training and runner.epoch < self.min_epochs:
            runner.train_loop.stop_training = False
            runner.logger.info(f'Training continues: at least {self.min_epochs} epochs are trained (min_epochs).')

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Save the count."""
        checkpoint['early_stopping'] = self._state()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Restore the count if the run is resumed.

        Raises:
            CheckpointError: The saved count is damaged.
        """
        if runner._resume and 'early_stopping' in checkpoint:
            saved, own = checkpoint['early_stopping'], self._state()
            check_same_kind(saved, own, 'early_stopping', 'The checkpoint')
            watched = {name: saved.get(name, own[name]) for name in ('monitor', 'rule')}
            if watched.items() <= own.items():
                self.wait_count, self.best_score = (saved.get(k, own[k]) for k in ('wait_count', 'best_score'))
                return
            runner.logger.warning(
                f'EarlyStoppingHook starts over: the checkpoint counted {watched["monitor"]} ({watched["rule"]}), this '
                f'run watches {self.monitor} ({self.rule}).'
            )

    def _state(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ('wait_count', 'best_score', 'monitor', 'rule')}

    def before_train(self, runner: Any) -> None:
        """Stop at once if the last validation before the checkpoint had ended the training."""
        counted = getattr(runner.train_loop, 'validated_epoch', None) == runner.epoch
        if counted and self.wait_count >= self.patience and runner.epoch >= self.min_epochs:
            runner.train_loop.stop_training = True
