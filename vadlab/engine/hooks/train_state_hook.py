"""What training depends on, in the log."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class TrainStateHook(Hook):
    """Logs each optimizer group's learning rate, the temperatures and the fill of negative queues.

    Under ``<group>_lr``, ``<name>`` of every scalar parameter called ``logit_scale...`` (its exponential, the factor
    on cosines) and ``<name>_fill`` of every module with a ``fill``.

    Args:
        interval (int): Iterations between looks; each waits for the device once a temperature.
    """

    priority = 'NORMAL'

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log."""
        update = runner.message_hub.update_scalar
        for group in runner.optim_wrapper.optimizer.param_groups:
            if 'name' in group:
                update(f'train/{group["name"]}_lr', group['lr'])
        if (batch_idx + 1) % self.interval and batch_idx + 1 != len(runner.train_dataloader) and batch_idx:
            return
        for name, parameter in runner.bare_model.named_parameters():
            leaf = name.rsplit('.', 1)[-1]
            if leaf.startswith('logit_scale') and parameter.numel() == 1 and leaf not in (outputs or {}):
                update(f'train/{leaf}', torch.exp(parameter.detach()).item())
        for name, module in runner.bare_model.named_modules():
            if isinstance(getattr(module, 'fill', None), int):
                update(f'train/{name.rsplit(".", 1)[-1] or "queue"}_fill', module.fill)
