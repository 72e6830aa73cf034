"""Validation that training does not notice."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS

from ..random_state import capture_random_state, restore_random_state


@HOOKS.register_module()
class PreserveRNGHook(Hook):
    """Puts the random generators back after validation.

    Training is then the same with and without it, and a run resumed from a checkpoint saved just before a validation
    goes on as the run that was not stopped.
    """

    priority = 'VERY_HIGH'

    def before_val(self, runner: Any) -> None:
        """Note the states."""
        self._state = capture_random_state()

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        """Restore them: here already, since the checkpoint with the new best score is saved next."""
        restore_random_state(self._state)
