"""Keep validation from changing the random generators."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS

from ..random_state import capture_random_state, restore_random_state


@HOOKS.register_module()
class PreserveRNGHook(Hook):
    """Restores the random generators after validation.

    Training then gives the same result with and without validation, and a run resumed from a checkpoint saved just
    before a validation gives the same result as an uninterrupted run.
    """

    priority = 'VERY_HIGH'

    def before_val(self, runner: Any) -> None:
        """Save the states."""
        self._state = capture_random_state()

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        """Restore the states here, before the checkpoint with the new best score is saved."""
        restore_random_state(self._state)
