"""AdamW with update clipping."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from vadlab.registry import OPTIMIZERS
from vadlab.utils.errors import ConfigError


@OPTIMIZERS.register_module()
class StableAdamW(Optimizer):
    """AdamW with update clipping: each tensor's step is divided by max(1, RMS(grad / sqrt(second moment)) / threshold).

    Wortsman et al., "Stable and low-precision training for large-scale vision-language models", NeurIPS 2023,
    arXiv:2304.13013, algorithm 2; the RMS is AdaFactor's (Shazeer and Stern, ICML 2018, arXiv:1804.04235). As in the
    code of DSANet's authors, the second moment is bias-corrected, and ``eps`` is added to its root.

    With ``clip_threshold=None`` it equals torch's AdamW, so one optimizer can have groups with and without clipping.

    Args:
        params (Any): Parameters or parameter groups.
        lr (float): Learning rate, >= 0.
        betas (tuple[float, float]): Decay of both moments, each 0 <= beta < 1.
        eps (float): Added to the root of the second moment, >= 0.
        weight_decay (float): Decoupled weight decay, multiplied by the learning rate, >= 0.
        amsgrad (bool): Use the largest second moment so far.
        clip_threshold (float | None): Clip updates with an RMS above this, > 0; None never clips.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        clip_threshold: float | None = 1.0,
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, clip_threshold=clip_threshold
        )
        super().__init__(params, defaults)
        for group in self.param_groups:
            threshold = group['clip_threshold']
            if min(group['lr'], group['eps'], group['weight_decay']) < 0 or (threshold is not None and threshold <= 0):
                raise ConfigError(
                    'StableAdamW: lr, eps and weight_decay must be >= 0 and clip_threshold > 0 or None, not '
                    f'lr={group["lr"]}, eps={group["eps"]}, weight_decay={group["weight_decay"]}, '
                    f'clip_threshold={threshold}.'
                )
            if not all(0 <= beta < 1 for beta in group['betas']):
                raise ConfigError(f'StableAdamW: betas={group["betas"]} must be at least 0 and below 1.')

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One optimizer step, without synchronisation with the device.

        Args:
            closure (Callable | None): A function that evaluates the model again and returns the loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group['params']:
                if p.grad is not None:
                    self._update(p, group)
        return loss

    def _update(self, p: torch.Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self.state[p], group['betas']
        if not state:
            state['step'] = 0
            for name in ('exp_avg', 'exp_avg_sq', *(['max_exp_avg_sq'] if group['amsgrad'] else [])):
                state[name] = torch.zeros_like(p)
        state['step'] += 1
        mean = state['exp_avg'].lerp_(p.grad, 1 - beta1)
        square = state['exp_avg_sq'].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        if group['amsgrad']:
            square = torch.maximum(state['max_exp_avg_sq'], square, out=state['max_exp_avg_sq'])
        root = (square / (1 - beta2 ** state['step'])).sqrt_().add_(group['eps'])
        p.mul_(1 - group['lr'] * group['weight_decay'])
        step = mean / root * (group['lr'] / (1 - beta1 ** state['step']))
        if group['clip_threshold'] is not None:
            rms = (p.grad / root).square_().mean().sqrt_()
            step /= (rms / group['clip_threshold']).clamp_(min=1.0)
        p.sub_(step)
