"""The sanity check before the first step."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS

from ..sanity_check import sanity_check


@HOOKS.register_module()
class SanityCheckHook(Hook):
    """Runs one batch of each loader through loss and evaluation before training, to find errors early.

    ``sanity_check=False`` in the config skips it.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        """Run the sanity check."""
        if not runner.cfg.get('sanity_check', runner.cfg.get('smoke_pass', True)):  # smoke_pass: its name in 0.1
            return
        sanity_check(runner)
