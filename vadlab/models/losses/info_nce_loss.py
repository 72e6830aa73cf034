import torch
from torch import Tensor, nn

from vadlab.registry import MODELS

from .paired_embeddings import prepare_pairs


def caption_ids(tokens: list[Tensor]) -> Tensor:
    """Ids of captions; equal token sequences have equal ids, on every rank.

    The id is a polynomial hash modulo 2**64 (FNV's prime). Two different captions have the same id with a probability
    of about 1e-19.

    Args:
        tokens (list[Tensor]): Token ids of K captions, int64, shape (L_k,) each, unpadded.

    Returns:
        Tensor: int64, shape (K,).
    """
    if not tokens:
        return torch.zeros(0, dtype=torch.long)
    padded = nn.utils.rnn.pad_sequence([t + 1 for t in tokens], batch_first=True)
    ids = torch.zeros_like(padded[:, 0])
    for column in padded.unbind(1):
        ids = torch.where(column > 0, ids * 1099511628211 + column, ids)  # padding does not change the id
    return ids


@MODELS.register_module()
class InfoNCELoss(nn.Module):
    r"""Symmetric contrastive loss between pairs of embeddings, with additional negatives from a queue.

    van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, arXiv:1807.03748, eq. 4, in
    both directions, as in CLIP (Radford et al., 2021, arXiv:2103.00020, figure 3):

    ``1/2N * sum_i [-log softmax_i(s * q_i . (keys, extra_keys)) - log softmax_i(s * k_i . (queries, extra_queries))]``

    Beyond CLIP: pairs with the same group id (equal captions) are not negatives of each other, neither in the batch nor
    in the queue; pairs can be masked. Computed in float32 (or float64), even under automatic mixed precision.

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
            raise ValueError(f'InfoNCELoss: queries {tuple(queries.shape)} and keys {tuple(keys.shape)} must pair up.')
        with torch.autocast(queries.device.type, enabled=False):
            queries, keys, valid, group_ids = prepare_pairs(queries, keys, valid, group_ids, self.gather)
            count = valid.sum().clamp(min=1)
            forth = self._one_way(queries, keys, logit_scale, valid, group_ids, extra_keys, extra_key_ids)
            back = self._one_way(keys, queries, logit_scale, valid, group_ids, extra_queries, extra_query_ids)
            return self.loss_weight * (forth + back) / (2 * count)

    @staticmethod
    def _one_way(
        rows: Tensor,
        columns: Tensor,
        logit_scale: Tensor | float,
        valid: Tensor,
        group_ids: Tensor | None,
        extra: Tensor | None,
        extra_ids: Tensor | None,
    ) -> Tensor:
        """Cross-entropy of each row against its partner, summed over the valid rows."""
        n = len(rows)
        logits = logit_scale * rows @ columns.T
        masked = ~valid[None, :].expand(n, n)
        if group_ids is not None:
            masked = masked | (group_ids[:, None] == group_ids[None, :])
        masked = masked & ~torch.eye(n, dtype=torch.bool, device=rows.device)
        logits = logits.masked_fill(masked, float('-inf'))
        if extra is not None and len(extra):
            extra_logits = logit_scale * rows @ extra.to(rows.dtype).T
            if group_ids is not None and extra_ids is not None:
                extra_logits = extra_logits.masked_fill(group_ids[:, None] == extra_ids[None, :], float('-inf'))
            logits = torch.cat([logits, extra_logits], dim=1)
        losses = torch.logsumexp(logits, dim=1) - logits.diagonal() if n else logits.sum(1)
        return losses.masked_fill(~valid, 0.0).sum()
