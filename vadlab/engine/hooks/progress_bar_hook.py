"""A progress bar on the terminal."""

import logging
import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.printable import is_terminal
from vadlab.utils.progress import ProgressBar


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows the progress of an epoch. Off if standard error is not a terminal.

    The bar is hidden before each line of the log, so they do not mix, and drawn again before the next batch.

    Args:
        width (int): Width of the bar in characters.
    """

    priority = 'HIGH'

    def __init__(self, width: int = 30) -> None:
        self.width = width
        self._bar: ProgressBar | None = None

    def before_run(self, runner: Any) -> None:
        """Switch the bar on if standard error is a terminal."""
        self.is_on = is_terminal(sys.stderr) and is_main_process()
        if self.is_on:
            runner.logger.addFilter(self._hide_for_log)

    def after_run(self, runner: Any) -> None:
        """Hide the bar."""
        self._hide()
        runner.logger.removeFilter(self._hide_for_log)

    def _hide_for_log(self, record: logging.LogRecord) -> bool:
        del record
        self._hide()
        return True

    def _draw(self, label: str, done: int, total: int) -> None:
        if not self.is_on or total <= 0:
            return
        if self._bar is None or self._bar.what != label or done == 0:
            self._hide()
            self._bar = ProgressBar(label, total, vanishes=True, width=self.width)
        self._bar(done)

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.hide()

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        total = len(runner.train_dataloader)
        self._draw(f'epoch {runner.epoch + 1}/{runner.max_epochs}', batch_idx % max(total, 1), total)

    def after_train_epoch(self, runner: Any) -> None:
        """Hide the bar."""
        self._hide()

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        self._draw('validation', batch_idx, len(runner.val_dataloader))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Hide the bar."""
        self._hide()

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        self._draw('test', batch_idx, len(runner.test_dataloader))

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Hide the bar."""
        self._hide()
