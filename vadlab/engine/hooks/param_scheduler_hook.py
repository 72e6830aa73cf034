"""Schedules that count optimizer steps."""

from typing import Any

from mmengine.hooks import ParamSchedulerHook as MMParamSchedulerHook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class ParamSchedulerHook(MMParamSchedulerHook):
    """MMEngine's hook, stepping the schedulers that do not go by epoch once an optimizer step, not once a batch."""

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Step the schedulers, if this batch completed an optimizer step."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
