"""Step schedulers once per optimizer step."""

from typing import Any

from mmengine.hooks import ParamSchedulerHook as MMParamSchedulerHook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class ParamSchedulerHook(MMParamSchedulerHook):
    """MMEngine's hook, but schedulers with ``by_epoch=False`` step once per optimizer step, not once per batch."""

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Step the schedulers, if this batch completed an optimizer step."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
