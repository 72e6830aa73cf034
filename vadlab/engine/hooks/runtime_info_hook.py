"""Record the values of each training step."""

from typing import Any

from mmengine.hooks import RuntimeInfoHook as MMRuntimeInfoHook

from vadlab.registry import HOOKS

from ..late_scalars import LateScalars


@HOOKS.register_module()
class RuntimeInfoHook(MMRuntimeInfoHook):
    """MMEngine's hook, which records every step's values without waiting for a GPU in every step.

    Values on a GPU are recorded one step later, and before anything reads them: at the logging interval, at the end of
    an epoch, before a checkpoint, a validation, and at the end. So the log is the same.

    Args:
        interval (int): Iterations between lines of the log, as for LoggerHook.
    """

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self._waiting: list[LateScalars] = []

    def before_train(self, runner: Any) -> None:
        """Like MMEngine's; forget the values of an earlier run."""
        self._waiting = []
        super().before_train(runner)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Record the loss terms and, after an optimizer step, the gradient norm."""
        wrapper = runner.optim_wrapper
        values: dict[str, Any] = {}
        if getattr(wrapper, 'grad_norm', None) is not None and wrapper.should_update():
            values[wrapper.grad_name] = wrapper.grad_norm
        scalars = LateScalars(values | (outputs or {}))
        self._waiting.append(scalars)
        is_read = self.every_n_inner_iters(batch_idx, self.interval) or self.every_n_train_iters(runner, self.interval)
        is_read = is_read or self.end_of_epoch(runner.train_dataloader, batch_idx)
        self._record(runner, leave=1 if scalars.is_late and not is_read else 0)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Record values that are not recorded yet, and update the history in the checkpoint."""
        if self._waiting:
            self._record(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def before_val(self, runner: Any) -> None:
        """Record what is still on its way."""
        self._record(runner)
        super().before_val(runner)

    def after_train(self, runner: Any) -> None:
        """Record what is still on its way."""
        self._record(runner)
        super().after_train(runner)

    def _record(self, runner: Any, leave: int = 0) -> None:
        while len(self._waiting) > leave:
            for name, value in self._waiting.pop(0).read().items():
                runner.message_hub.update_scalar(f'train/{name}', value)
