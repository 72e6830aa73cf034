"""Ending a training that no longer gets better."""

from collections.abc import Iterable
from typing import Any

from mmengine.hooks import EarlyStoppingHook as MMEarlyStoppingHook

from vadlab.checkpoints.training_state import check_same_kind
from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest


@HOOKS.register_module()
class EarlyStoppingHook(MMEarlyStoppingHook):
    """MMEngine's hook, which does not stop before ``min_epochs`` and goes on counting in a resumed run.

    Args:
        monitor (str): Metric of the validation.
        rule (str): What is better, ``greater`` or ``less``.
        min_delta (float): A smaller gain is none.
        patience (int): Validations without a gain.
        min_epochs (int): Epochs that are trained in any case.

    Raises:
        ConfigError: The validation has no such metric.
    """

    # Before the checkpoint hook, which keeps the count when it saves a new best score.
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
        """Do without MMEngine's question whether the training can be stopped: ours can, and a test has none."""

    def check_monitor(self, metrics: Iterable[str]) -> None:
        """Refuse a ``monitor`` that no metric of the validation is called; the sanity check asks before training.

        Raises:
            ConfigError: The message names the nearest metrics.
        """
        known = sorted(metrics)
        if self.monitor not in known:
            raise ConfigError(
                f'EarlyStoppingHook: monitor={self.monitor!r} is no metric of the validation. '
                f'{nearest(self.monitor, known)}'
            )

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Count, and stop the training if it is time."""
        self.check_monitor(metrics or {})
        super().after_val_epoch(runner, metrics)
        if runner.train_loop.stop_training and runner.epoch < self.min_epochs:
            runner.train_loop.stop_training = False
            runner.logger.info(f'... but at least {self.min_epochs} epochs are trained.')

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Keep the count."""
        checkpoint['early_stopping'] = self._state()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Go on with it, if this run is the one that was saved.

        Raises:
            CheckpointError: The saved count is no count.
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
        """Train no further where the validation that the checkpoint was saved after had ended the training."""
        counted = getattr(runner.train_loop, 'validated_epoch', None) == runner.epoch
        if counted and self.wait_count >= self.patience and runner.epoch >= self.min_epochs:
            runner.train_loop.stop_training = True
