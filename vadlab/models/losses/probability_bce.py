import torch
import torch.nn.functional as F
from torch import Tensor


def probability_bce(probabilities: Tensor, targets: Tensor | float, mask: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy of probabilities, for those without a logit, such as the mean of several sigmoids.

    Computed in float32, even under automatic mixed precision: torch does not allow this loss under autocast, since half
    precision cannot represent its logarithm. As in torch, logarithms are clamped to at least -100, so that the loss of
    a probability of exactly 0 or 1 is finite.

    Args:
        probabilities (Tensor): 0..1, any shape.
        targets (Tensor | float): 0..1, one number or a tensor of the same shape.
        mask (Tensor | None): True at the entries that count, bool, same shape; None for all.

    Returns:
        Tensor: Mean over the entries that count, float32, scalar.
    """
    with torch.autocast(probabilities.device.type, enabled=False):
        probabilities = probabilities.float()
        targets = torch.as_tensor(targets, dtype=torch.float32, device=probabilities.device)
        targets = targets.expand_as(probabilities)
        if mask is None:
            return F.binary_cross_entropy(probabilities, targets)
        losses = F.binary_cross_entropy(probabilities, targets, reduction='none')
        return losses.masked_fill(~mask, 0.0).sum() / mask.sum()
