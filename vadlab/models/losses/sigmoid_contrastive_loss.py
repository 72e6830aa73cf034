import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS

from .paired_embeddings import prepare_pairs


@MODELS.register_module()
class SigmoidContrastiveLoss(nn.Module):
    r"""Pairwise sigmoid loss between two sets of embeddings: a binary classification of each combination.

    Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023, arXiv:2303.15343, eq. 1; FG-CLIP 2's global loss
    (Xie et al., 2025, arXiv:2510.10921):

    ``-1/N * sum_ij log sigmoid(z_ij * (s * q_i . k_j + b))``, z = 1 for pairs and -1 for all other combinations

    Beyond these papers: pairs with the same group id (equal captions) are not negatives of each other, past pairs of a
    queue are negatives of both sides, and pairs can be masked. Computed in float32 (or float64), even under automatic
    mixed precision.

    Args:
        loss_weight (float): Factor of the returned loss.
        gather (bool): Use the pairs of all ranks as negatives, with gradients through the gathering. Every rank then
            computes the loss of all pairs. After DDP's average over ranks, the gradient is exact.
    """

    def __init__(self, loss_weight: float = 1.0, gather: bool = True) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.gather = gather

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float = 0.0,
        group_ids: Tensor | None = None,
        extra_keys: Tensor | None = None,
        extra_key_ids: Tensor | None = None,
        extra_queries: Tensor | None = None,
        extra_query_ids: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Tensor:
        """Loss over the valid pairs; if there is none, zero with a graph.

        Args:
            queries (Tensor): L2-normalised embeddings, shape (N, D).
            keys (Tensor): Their partners, L2-normalised, shape (N, D).
            logit_scale (Tensor | float): Factor of the cosine similarities, > 0: the *exponential* of the learnt log.
            logit_bias (Tensor | float): Added to every logit; negative, because most combinations are negatives.
            group_ids (Tensor): Pairs with equal ids are not negatives of each other, int64, shape (N,); the same
                caption must have the same id on every rank (:func:`caption_ids`).
            extra_keys (Tensor): More negatives for the queries, shape (Q, D); the same on every rank.
            extra_key_ids (Tensor): Their group ids, int64, shape (Q,).
            extra_queries (Tensor): More negatives for the keys, shape (Q, D).
            extra_query_ids (Tensor): Their group ids, int64, shape (Q,).
            valid (Tensor): Which pairs take part, bool, shape (N,); all by default.

        Returns:
            Tensor: Scalar.

        Raises:
            ValueError: Shapes of queries and keys differ.
        """
        if queries.shape != keys.shape:
            raise ValueError(
                f'SigmoidContrastiveLoss: queries {tuple(queries.shape)} and keys {tuple(keys.shape)} must pair up.'
            )
        with torch.autocast(queries.device.type, enabled=False):
            queries, keys, valid, group_ids = prepare_pairs(queries, keys, valid, group_ids, self.gather)
            logits = logit_scale * queries @ keys.T + logit_bias
            own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
            counts = valid[:, None] & valid[None, :]
            if group_ids is not None:
                counts = counts & (own | (group_ids[:, None] != group_ids[None, :]))
            losses = F.softplus(torch.where(own, -logits, logits))  # -log sigmoid(x) = softplus(-x)
            total = losses.masked_fill(~counts, 0.0).sum()
            for rows, extra, extra_ids in (
                (queries, extra_keys, extra_key_ids),
                (keys, extra_queries, extra_query_ids),
            ):
                if extra is not None and len(extra):
                    counts = valid[:, None].expand(-1, len(extra))
                    if group_ids is not None and extra_ids is not None:
                        counts = counts & (group_ids[:, None] != extra_ids[None, :])
                    losses = F.softplus(logit_scale * rows @ extra.to(rows.dtype).T + logit_bias)
                    total = total + losses.masked_fill(~counts, 0.0).sum()
            return self.loss_weight * total / valid.sum().clamp(min=1)
