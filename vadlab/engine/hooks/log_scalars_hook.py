"""Log learning rates, temperatures and queues."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class LogScalarsHook(Hook):
    """Logs each optimizer group's learning rate, the temperatures and the fill of negative queues.

    Each group's rate is logged as ``<group>_lr``. Groups without names are ``group0_lr`` and so on; a single group
    without a name is ``lr``. MMEngine's own ``lr`` (of the first group) and ``base_lr`` (of the optimizer's defaults)
    are removed. Every scalar parameter called ``logit_scale...`` is logged under its name (its exponential, the factor
    on cosines), and every module with a ``fill`` as ``<name>_fill``.

    Args:
        interval (int): Iterations between logs; each log waits for the device once per temperature.
    """

    priority = 'NORMAL'

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log the scalars every ``interval`` iterations."""
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
