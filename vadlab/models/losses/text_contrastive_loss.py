import torch
from torch import Tensor, nn

from vadlab.registry import MODELS

from ..layers.gather import gather_rows


@MODELS.register_module()
class TextContrastiveLoss(nn.Module):
    r"""Contrast among texts: each text is pushed away from the texts that are most similar to it.

    Xie et al., "FG-CLIP 2", 2025, arXiv:2510.10921, textual intra-modal contrast (``hard_category_contrastive_loss``
    of github.com/360CVGroup/FG-CLIP):

    ``mean_i log sum_j exp(t_i . t_j)``, over the ``num_nearest`` largest similarities of each text

    As in the public code, similarities above ``max_similarity`` (the same meaning in other words) and that of a text
    with itself are set to 0, not excluded, and there is no temperature. If there are fewer texts than ``num_nearest``,
    all of them are used; the public code skips the losses of such a batch. Computed in float32 (or float64), even under
    automatic mixed precision.

    Args:
        loss_weight (float): Factor of the returned loss.
        num_nearest (int): Number of similarities per text.
        max_similarity (float): Higher similarities count as 0.
        gather (bool): Compare with the texts of all ranks. After DDP's average over ranks, the gradient equals that of
            one large batch. The public code compares texts of one rank only.
    """

    def __init__(
        self,
        loss_weight: float = 0.1,
        num_nearest: int = 10,
        max_similarity: float = 0.95,
        gather: bool = True,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.num_nearest = num_nearest
        self.max_similarity = max_similarity
        self.gather = gather

    def forward(self, texts: Tensor) -> Tensor:
        """Mean over the texts; without a second text, zero with a graph.

        Args:
            texts (Tensor): L2-normalised embeddings, shape (N, D).

        Returns:
            Tensor: Scalar.
        """
        with torch.autocast(texts.device.type, enabled=False):
            if texts.dtype != torch.float64:
                texts = texts.float()
            if self.gather:
                texts, is_row = gather_rows(texts)
                texts = texts if is_row is None else texts[is_row]
            if len(texts) < 2:
                return 0 * texts.sum()
            similarity = texts @ texts.T
            own = torch.eye(len(texts), dtype=torch.bool, device=texts.device)
            similarity = similarity.masked_fill(own | (similarity > self.max_similarity), 0.0)
            nearest = similarity.topk(min(self.num_nearest, len(texts)), dim=1).values
            return self.loss_weight * nearest.logsumexp(dim=1).mean()
