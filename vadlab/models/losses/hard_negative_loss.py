import torch
from torch import Tensor, nn

from vadlab.registry import MODELS

from ..layers.gather import gather_rows
from .region_candidates import region_candidates


@MODELS.register_module()
class HardNegativeLoss(nn.Module):
    """Cross-entropy of a region's caption against hard negatives written for the region.

    Xie et al., "FG-CLIP: Fine-Grained Visual and Textual Alignment", 2025, arXiv:2505.05071, section 3.1. The negatives
    differ from the caption in one attribute (colour, action, number). The caption has index 0, and the loss is averaged
    over the regions that have negatives. It is computed in float32 (or float64), even under automatic mixed precision.

    Args:
        loss_weight (float): Factor of the returned loss.
        gather (bool): Average over the regions of all ranks, whose number may differ between ranks. After DDP's
            average, the gradient equals that of one large batch.
    """

    def __init__(self, loss_weight: float = 0.5, gather: bool = True) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.gather = gather

    def forward(
        self,
        regions: Tensor,
        candidates: Tensor,
        valid: Tensor,
        logit_scale: Tensor | float,
        text_ids: Tensor | None = None,
    ) -> Tensor:
        """Loss over the regions with at least one negative; if there is none, zero with a graph.

        Args:
            regions (Tensor): L2-normalised region embeddings, shape (R, D).
            candidates (Tensor): L2-normalised texts, the region's own caption first, shape (R, 1 + N, D).
            valid (Tensor): Which candidates exist, bool, shape (R, 1 + N); a region takes part if its caption and at
                least one negative do.
            logit_scale (Tensor | float): Factor of the cosine similarities, > 0: the *exponential* of the learnt log.
            text_ids (Tensor | None): Ids of the texts, for losses that compare texts of several regions; unused here.

        Returns:
            Tensor: Scalar.

        Raises:
            ValueError: The shapes do not match.
        """
        with torch.autocast(regions.device.type, enabled=False):
            regions, candidates, valid, takes_part = region_candidates(type(self).__name__, regions, candidates, valid)
            logits = logit_scale * torch.einsum('rd,rnd->rn', regions, candidates)
            # Excluded rows keep finite logits, so that their masked gradients are zero and not NaN.
            logits = logits.masked_fill(~valid & takes_part[:, None], float('-inf'))
            losses = (torch.logsumexp(logits, dim=1) - logits[:, 0]).masked_fill(~takes_part, 0.0)
            if self.gather:
                losses = gather_rows(losses)[0]  # the padding is zeros, which do not change the sum
                takes_part = gather_rows(takes_part)[0]
            return self.loss_weight * losses.sum() / takes_part.sum().clamp(min=1)
