"""The smoke pass before the first step."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS

from ..smoke_pass import smoke_pass
from .checkpoint_hook import CheckpointHook
from .early_stopping_hook import EarlyStoppingHook


@HOOKS.register_module()
class SmokePassHook(Hook):
    """Takes one batch of each loader through loss and evaluation before training, so that what is broken fails now.

    ``smoke_pass=False`` in the config leaves it out.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        """Run it."""
        if not runner.cfg.get('smoke_pass', True):
            return
        found = smoke_pass(runner)
        metrics = [name.removeprefix('val/') for name in found if name.startswith('val/')]
        for hook in runner.hooks if metrics else []:
            if isinstance(hook, CheckpointHook):
                hook.check_save_best(metrics)
            elif isinstance(hook, EarlyStoppingHook):
                hook.check_monitor(metrics)
