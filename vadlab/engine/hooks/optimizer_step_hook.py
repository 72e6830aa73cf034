"""Call modules after optimizer steps."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class OptimizerStepHook(Hook):
    """Calls ``after_optimizer_step()`` of every module that has this method, after each optimizer step.

    With gradient accumulation several batches make one step. Modules that depend on training progress (a queue's
    warm-up, the clamping of a temperature) count steps. Before training, ``before_train(max_steps)`` of every module
    that has this method is called with the number of optimizer steps in the whole run.
    """

    priority = 'HIGH'

    def before_train(self, runner: Any) -> None:
        """Call ``before_train`` of the modules with the number of steps."""
        for module in runner.bare_model.modules():
            if hasattr(module, 'before_train'):
                module.before_train(runner.max_steps)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Call ``after_optimizer_step`` of the modules, if this batch completed a step."""
        if not runner.optim_wrapper.should_update():
            return
        for module in runner.bare_model.modules():
            if hasattr(module, 'after_optimizer_step'):
                module.after_optimizer_step()
