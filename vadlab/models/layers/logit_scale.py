"""Learnable temperatures, stored as the logarithm of the factor of cosine similarities."""

import math

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

# Radford et al., 2021, arXiv:2103.00020, section 2.5: above 100 training became unstable; the start is 1 / 0.07.
MAX_LOGIT_SCALE = math.log(100)
SCRATCH_LOGIT_SCALE = math.log(1 / 0.07)


def new_logit_scale(value: float = SCRATCH_LOGIT_SCALE) -> nn.Parameter:
    """A learnable log temperature; the default, ln(1 / 0.07) = 2.6592, is CLIP's value for random weights."""
    return nn.Parameter(torch.tensor(value, dtype=torch.float32))


def scale_of(logit_scale: nn.Parameter) -> Tensor:
    """The factor, at most 100; the parameter itself is clamped to ln 100, so that it can decrease again."""
    with torch.no_grad():
        logit_scale.clamp_(max=MAX_LOGIT_SCALE)
    return logit_scale.exp()


def log_logit_scales(model: nn.Module, reason: str) -> None:
    """Log the start value of each temperature of a model.

    Args:
        model (nn.Module): Its parameters whose names start with ``logit_scale`` are logged.
        reason (str): Where the values come from.
    """
    values = ', '.join(
        f'{name} = {value.item():.4f} (x{value.exp().item():.1f})'
        for name, value in model.named_parameters(recurse=False)
        if name.startswith('logit_scale')
    )
    MMLogger.get_current_instance().info(f'Temperatures: {values}: {reason}.')
