# Shapes: n normal videos, a abnormal videos, t snippets.
import torch
from torch import Tensor, nn

from vadlab.registry import MODELS


@MODELS.register_module()
class MILRankingLoss(nn.Module):
    """Hinge loss between the top scores of abnormal and normal videos, with sparsity and smoothness terms.

    Sultani, Chen, Shah, "Real-World Anomaly Detection in Surveillance Videos", CVPR 2018, arXiv:1801.04264, eq. 7, as
    the authors' training script computes it (WaqasSultani/AnomalyDetectionCVPR2018): every abnormal video is compared
    with every normal one of the batch, hinges are summed over the abnormal and averaged over the normal videos, and the
    two regularisers are summed over the abnormal videos. The paper gives the loss of one pair of videos; for one pair
    both are equal. The PyTorch ports that pair up the batch also agree with it.

    Args:
        margin (float): Margin of the hinge between the abnormal and the normal maximum.
        sparsity_weight (float): Factor of the sum of an abnormal video's scores.
        smoothness_weight (float): Factor of the sum of squared differences between neighbouring snippets.
    """

    def __init__(self, margin: float = 1.0, sparsity_weight: float = 8e-5, smoothness_weight: float = 8e-5) -> None:
        super().__init__()
        self.margin = margin
        self.sparsity_weight = sparsity_weight
        self.smoothness_weight = smoothness_weight

    def forward(
        self,
        normal_nt: Tensor,
        abnormal_at: Tensor,
        normal_mask_nt: Tensor | None = None,
        abnormal_mask_at: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The three loss terms.

        Args:
            normal_nt (Tensor): Scores of normal videos' snippets, 0..1, shape (N, T), N >= 1.
            abnormal_at (Tensor): Scores of abnormal videos' snippets, 0..1, shape (A, T), A >= 1.
            normal_mask_nt (Tensor | None): True at real snippets, bool, shape (N, T); all of them by default.
            abnormal_mask_at (Tensor | None): The same for the abnormal videos, shape (A, T).

        Returns:
            dict[str, Tensor]: ``loss_ranking``, ``loss_sparsity`` and ``loss_smoothness``, weighted scalars.
        """
        if normal_mask_nt is None:
            normal_mask_nt = torch.ones_like(normal_nt, dtype=torch.bool)
        if abnormal_mask_at is None:
            abnormal_mask_at = torch.ones_like(abnormal_at, dtype=torch.bool)
        top_n = normal_nt.masked_fill(~normal_mask_nt, float('-inf')).amax(1)
        top_a = abnormal_at.masked_fill(~abnormal_mask_at, float('-inf')).amax(1)
        hinges_na = (self.margin - top_a[None, :] + top_n[:, None]).clamp_min(0)
        pairs_at = abnormal_mask_at[:, 1:] & abnormal_mask_at[:, :-1]
        steps_at = abnormal_at.diff(dim=1).masked_fill(~pairs_at, 0.0)
        return {
            'loss_ranking': hinges_na.sum(1).mean(),
            'loss_sparsity': self.sparsity_weight * abnormal_at.masked_fill(~abnormal_mask_at, 0.0).sum(),
            'loss_smoothness': self.smoothness_weight * steps_at.square().sum(),
        }
