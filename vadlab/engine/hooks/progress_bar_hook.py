"""A progress bar on the terminal."""

import sys
import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows the progress of an epoch while a batch is computed. Off if standard error is not a terminal.

    The bar is drawn before a batch and cleared after it, so it does not mix with lines of the log.

    Args:
        width (int): Width of the bar in characters.
    """

    priority = 'HIGH'

    def __init__(self, width: int = 30) -> None:
        self.width = width

    def before_run(self, runner: Any) -> None:
        """Switch the bar on if standard error is a terminal."""
        self.is_on = sys.stderr.isatty() and is_main_process()
        self._started = time.monotonic()

    def _draw(self, label: str, done: int, total: int) -> None:
        if not self.is_on or total <= 0:
            return
        if done == 0:
            self._started = time.monotonic()
        spent = time.monotonic() - self._started
        left = f'{spent / done * (total - done):.0f} s left' if done else ''
        filled = self.width * done // total
        bar = '#' * filled + '.' * (self.width - filled)
        sys.stderr.write(f'\r{label} [{bar}] {done}/{total} {left}')
        sys.stderr.flush()

    def _clear(self) -> None:
        if self.is_on:
            sys.stderr.write('\r\033[K')
            sys.stderr.flush()

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        total = len(runner.train_dataloader)
        self._draw(f'epoch {runner.epoch + 1}/{runner.max_epochs}', batch_idx % max(total, 1), total)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Clear the bar."""
        self._clear()

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        self._draw('validation', batch_idx, len(runner.val_dataloader))

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Clear the bar."""
        self._clear()

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the bar."""
        self._draw('test', batch_idx, len(runner.test_dataloader))

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Clear the bar."""
        self._clear()
