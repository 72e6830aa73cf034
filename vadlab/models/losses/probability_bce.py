import torch
import torch.nn.functional as F
from torch import Tensor


def probability_bce(probabilities: Tensor, targets: Tensor | float, mask: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy of probabilities that have no logit of their own, as the mean of several sigmoids.

    Computed in float32 whatever the precision of the run: autocast refuses this loss, whose logarithm half precision
    cannot hold. As in torch, a logarithm is at least -100, so that a probability of exactly 0 or 1 has a finite loss.

    Args:
        probabilities (Tensor): 0..1, any shape.
        targets (Tensor | float): 0..1, one number or of the same shape.
        mask (Tensor | None): True at what counts, bool, of the same shape; all where None.

    Returns:
        Tensor: The mean over what counts, float32, scalar.
    """
    with torch.autocast(probabilities.device.type, enabled=False):
        probabilities = probabilities.float()
        targets = torch.as_tensor(targets, dtype=torch.float32, device=probabilities.device)
        targets = targets.expand_as(probabilities)
        if mask is None:
            return F.binary_cross_entropy(probabilities, targets)
        losses = F.binary_cross_entropy(probabilities, targets, reduction='none')
        return losses.masked_fill(~mask, 0.0).sum() / mask.sum()
