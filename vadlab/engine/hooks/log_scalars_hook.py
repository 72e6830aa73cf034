"""What training depends on, in the log."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class LogScalarsHook(Hook):
    """Logs each optimizer group's learning rate, the temperatures and the fill of negative queues.

    Rates are logged as ``<group>_lr``: one per group. Groups without names are ``group0_lr`` and so on, a single one is
    ``lr``. MMEngine's own ``lr`` (of the first group) and ``base_lr`` (of the optimizer's defaults) are removed.
    The rest is logged as ``<name>`` of every scalar parameter called ``logit_scale...`` (its exponential, the factor
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
        for name in ('lr', 'base_lr'):
            runner.message_hub.log_scalars.pop(f'train/{name}', None)
        groups = runner.optim_wrapper.optimizer.param_groups
        for number, group in enumerate(groups):
            name = group.get('name', f'group{number}' if len(groups) > 1 else '')
            update(f'train/{name}_lr' if name else 'train/lr', group['lr'])
        if (batch_idx + 1) % self.interval and batch_idx + 1 != len(runner.train_dataloader) and batch_idx:
            return
        for name, parameter in runner.bare_model.named_parameters():
            leaf = name.rsplit('.', 1)[-1]
            if leaf.startswith('logit_scale') and parameter.numel() == 1 and leaf not in (outputs or {}):
                update(f'train/{leaf}', torch.exp(parameter.detach()).item())
        for name, module in runner.bare_model.named_modules():
            if isinstance(getattr(module, 'fill', None), int):
                update(f'train/{name.rsplit(".", 1)[-1] or "queue"}_fill', module.fill)
