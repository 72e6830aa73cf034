# Shapes: r regions, n candidates of a region (its caption and its negatives), d channels.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS

from ..layers.gather import gather_rows, world_size
from .region_candidates import region_candidates


@MODELS.register_module()
class RankedHardNegativeLoss(nn.Module):
    r"""FG-CLIP 2's loss of regions and hard negatives: contrast, pair, and cross-modal rank.

    Xie et al., "FG-CLIP 2", 2025, arXiv:2510.10921 (``hard_contrastive_total_loss`` of github.com/360CVGroup/FG-CLIP).
    A weighted sum, over the regions with at least one negative, of

    - *contrast*: symmetric cross-entropy; a region is compared with the captions and the negatives of all regions, a
      caption with all regions.
    - *pair*: cross-entropy of a region's caption against its own negatives, as :class:`HardNegativeLoss`.
    - *rank*: ``mean max(0, margin + negative - caption)`` of the logits. The margin is the mean gap between captions
      and negatives in the step before, from 0 to ``max_margin`` (Zhang et al., "Contrasting Intra-Modal and Ranking
      Cross-Modal Hard Negatives", 2024, arXiv:2306.08832). It is a buffer, so it is in the checkpoint.

    The public code takes exactly ten negatives per region and two or more regions; here the numbers may differ. Beyond
    it, equal texts are not negatives of each other. Computed in float32 (or float64), even under automatic mixed
    precision.

    Args:
        loss_weight (float): Factor of the returned loss.
        contrast_weight (float): Factor of *contrast*.
        pair_weight (float): Factor of *pair*.
        rank_weight (float): Factor of *rank*.
        max_margin (float): Largest margin, in units of logits.
        gather (bool): Use the regions of all ranks. The margin then is that of all regions, and after DDP's average
            over ranks the gradient equals that of one large batch. False as the public code: each rank has its own
            regions, and the margins of the ranks are averaged.
    """

    margin: Tensor

    def __init__(
        self,
        loss_weight: float = 0.5,
        contrast_weight: float = 0.6,
        pair_weight: float = 3.0,
        rank_weight: float = 0.4,
        max_margin: float = 10.0,
        gather: bool = True,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.contrast_weight = contrast_weight
        self.pair_weight = pair_weight
        self.rank_weight = rank_weight
        self.max_margin = max_margin
        self.gather = gather
        self.register_buffer('margin', torch.zeros(()))

    def forward(
        self,
        regions: Tensor,
        candidates: Tensor,
        valid: Tensor,
        logit_scale: Tensor | float,
        text_ids: Tensor | None = None,
    ) -> Tensor:
        """Loss over the regions with at least one negative; if there is none, zero with a graph.

        In training, the margin of the next step is set.

        Args:
            regions (Tensor): L2-normalised region embeddings, shape (R, D).
            candidates (Tensor): L2-normalised texts, the region's own caption first, shape (R, 1 + N, D).
            valid (Tensor): Which candidates exist, bool, shape (R, 1 + N); a region takes part if its caption and at
                least one negative do.
            logit_scale (Tensor | float): Factor of the cosine similarities, > 0: the *exponential* of the learnt log.
            text_ids (Tensor | None): Equal texts have equal ids, on every rank, int64, shape (R, 1 + N). None if all
                texts differ.

        Returns:
            Tensor: Scalar.

        Raises:
            ValueError: The shapes do not match.
        """
        with torch.autocast(regions.device.type, enabled=False):
            regions_rd, texts_rnd, valid, takes_part = region_candidates(
                type(self).__name__, regions, candidates, valid
            )
            if self.gather and world_size() > 1:
                regions_rd, texts_rnd, valid, text_ids = _gather_all(regions_rd, texts_rnd, valid, text_ids)
                takes_part = valid[:, 0]
            own_rn = logit_scale * torch.einsum('rd,rnd->rn', regions_rd, texts_rnd)
            count = takes_part.sum().clamp(min=1)
            is_negative = valid[:, 1:]
            if text_ids is not None:
                is_negative = is_negative & (text_ids[:, 1:] != text_ids[:, :1])
            contrast = self._contrast(regions_rd, texts_rnd, valid, logit_scale, text_ids) / count
            pair = self._pair(own_rn, takes_part, is_negative) / count
            gap_rn = (own_rn[:, :1] - own_rn[:, 1:]).masked_fill(~is_negative, 0.0)
            rank = F.relu(self.margin - gap_rn).masked_fill(~is_negative, 0.0).sum() / is_negative.sum().clamp(min=1)
            if self.training:
                self._set_margin(own_rn.detach(), takes_part, is_negative)
            total = self.contrast_weight * contrast + self.pair_weight * pair + self.rank_weight * rank
            return self.loss_weight * total

    @staticmethod
    def _contrast(
        regions_rd: Tensor, texts_rnd: Tensor, valid: Tensor, logit_scale: Tensor | float, text_ids: Tensor | None
    ) -> Tensor:
        """Both cross-entropies, summed over the regions and halved."""
        r, n = valid.shape
        takes_part = valid[:, 0]
        own_rr = torch.eye(r, dtype=torch.bool, device=valid.device)
        to_texts = (logit_scale * regions_rd @ texts_rnd.flatten(0, 1).T).unflatten(1, (r, n))
        to_regions = to_texts[:, :, 0].T
        masked = ~valid[None].expand(r, r, n)
        to_self = ~takes_part[None].expand(r, r)
        if text_ids is not None:
            masked = masked | (text_ids[None] == text_ids[:, 0, None, None])
            to_self = to_self | (text_ids[:, 0, None] == text_ids[None, :, 0])
        # A row keeps its own caption, also if it takes no part, so that its gradient is zero and not NaN.
        keeps = F.pad(own_rr[..., None], (0, n - 1))
        to_texts = to_texts.masked_fill(masked & ~keeps, float('-inf')).flatten(1)
        to_regions = to_regions.masked_fill(to_self & ~own_rr, float('-inf'))
        truth = (regions_rd * texts_rnd[:, 0]).sum(-1) * logit_scale
        losses = to_texts.logsumexp(1) + to_regions.logsumexp(1) - 2 * truth
        return losses.masked_fill(~takes_part, 0.0).sum() / 2

    @staticmethod
    def _pair(own_rn: Tensor, takes_part: Tensor, is_negative: Tensor) -> Tensor:
        logits = torch.cat([own_rn[:, :1], own_rn[:, 1:].masked_fill(~is_negative, float('-inf'))], dim=1)
        return (logits.logsumexp(1) - own_rn[:, 0]).masked_fill(~takes_part, 0.0).sum()

    def _set_margin(self, own_rn: Tensor, takes_part: Tensor, is_negative: Tensor) -> None:
        """Mean caption logit minus mean negative logit; without negatives, the margin stays."""
        caption = own_rn[:, 0].masked_fill(~takes_part, 0.0).sum() / takes_part.sum().clamp(min=1)
        negative = own_rn[:, 1:].masked_fill(~is_negative, 0.0).sum() / is_negative.sum().clamp(min=1)
        margin = torch.where(is_negative.any(), caption - negative, self.margin.to(caption))
        if not self.gather and world_size() > 1:
            torch.distributed.all_reduce(margin)
            margin = margin / world_size()
        self.margin.copy_(margin.clamp(0, self.max_margin))


def _gather_all(
    regions: Tensor, texts: Tensor, valid: Tensor, text_ids: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Rows of all ranks; the number of candidates is padded to the largest of all ranks."""
    most = torch.tensor(valid.shape[1], device=valid.device)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    missing = int(most) - valid.shape[1]
    texts = gather_rows(F.pad(texts, (0, 0, 0, missing)))[0]
    valid = gather_rows(F.pad(valid, (0, missing)))[0]
    text_ids = None if text_ids is None else gather_rows(F.pad(text_ids, (0, missing)))[0]
    return gather_rows(regions)[0], texts, valid, text_ids
