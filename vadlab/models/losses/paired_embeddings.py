import torch
from torch import Tensor

from ..layers.gather import gather_rows


def prepare_pairs(
    queries: Tensor, keys: Tensor, valid: Tensor | None, group_ids: Tensor | None, gather: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Embeddings as contrastive losses compare them: at least float32, of all ranks, and 0 where a pair is masked.

    Args:
        queries (Tensor): Shape (N, D).
        keys (Tensor): Their partners, shape (N, D).
        valid (Tensor | None): Which pairs take part, bool, shape (N,); all by default.
        group_ids (Tensor | None): Group of each pair, int64, shape (N,).
        gather (bool): Stack the pairs of all ranks.

    Returns:
        tuple: ``queries``, ``keys``, ``valid`` and ``group_ids``; with ``gather`` of M >= N pairs.
    """
    if queries.dtype != torch.float64:
        queries, keys = queries.float(), keys.float()
    if valid is None:
        valid = torch.ones(len(queries), dtype=torch.bool, device=queries.device)
    if gather:
        queries, is_row = gather_rows(queries)
        if is_row is not None:
            keys = gather_rows(keys)[0]
            valid = gather_rows(valid)[0] & is_row
            group_ids = None if group_ids is None else gather_rows(group_ids)[0]
    # Masked entries may be NaN, and NaN * 0 is NaN.
    queries = queries.masked_fill(~valid[:, None], 0.0)
    keys = keys.masked_fill(~valid[:, None], 0.0)
    return queries, keys, valid, group_ids
