"""Telling modules about optimizer steps."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class OptimizerStepHook(Hook):
    """Calls ``after_optimizer_step()`` on every module that has it, after each real optimizer step.

    With accumulation several batches make one step; what counts training progress (a queue's warm-up, the clamping of
    a temperature) counts these. Before training ``before_train(max_steps)`` is called where a module has it, with the
    number of optimizer steps in the whole run.
    """

    priority = 'HIGH'

    def before_train(self, runner: Any) -> None:
        """Tell the modules how long the run is."""
        for module in runner.bare_model.modules():
            if hasattr(module, 'before_train'):
                module.before_train(runner.max_steps)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Tell the modules, if this batch completed a step."""
        if not runner.optim_wrapper.should_update():
            return
        for module in runner.bare_model.modules():
            if hasattr(module, 'after_optimizer_step'):
                module.after_optimizer_step()
