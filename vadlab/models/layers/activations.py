from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError

_SLOPE = 1.702


class _QuickGELUFunction(torch.autograd.Function):
    """QuickGELU that saves one tensor, its input, for the backward pass; autograd would save three.

    ``x * sigmoid(a x)`` is ``silu(a x) / a``, and its derivative is ``silu'(a x)``. Torch has one kernel for each.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.silu(x * _SLOPE, inplace=True).mul_(1 / _SLOPE)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        scaled = x * _SLOPE
        return torch.ops.aten.silu_backward.grad_input(grad, scaled, grad_input=scaled)


class QuickGELU(nn.Module):
    """QuickGELU of OpenAI's CLIP: ``x * sigmoid(1.702 x)``.

    Hendrycks & Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415, section 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # the compiler chooses what to store
            return x * torch.sigmoid(_SLOPE * x)
        return _QuickGELUFunction.apply(x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {'quick_gelu': QuickGELU, 'gelu': nn.GELU}


def build_activation(name: str) -> nn.Module:
    """The activation that a CLIP config calls ``hidden_act``.

    Raises:
        ConfigError: ``name`` is neither ``quick_gelu`` nor ``gelu``.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f'hidden_act={name!r} is not one of {", ".join(map(repr, ACTIVATIONS))}.')
    return ACTIVATIONS[name]()
