# Shapes: b videos (or videos x crops), t snippets, e embedding channels, h heads of f channels.
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS, REACH = 1024, 64  # snippets per part and neighbours, in the local attention of long videos


class GlobalLocalBlock(nn.Module):
    """Pre-norm transformer layer with global attention by content and local attention by distance.

    Args:
        dim (int): Channels e.
        heads (int): Heads h.
        head_dim (int): Channels f of a head.
        mlp_dim (int): Hidden channels of the MLP.
        dropout (float): Dropout rate, 0..1.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        # Query, key and value of the global attention, and the value of the local one, whose weights are fixed.
        self.qkvl = nn.Linear(dim, 4 * heads * head_dim, bias=False)
        self.out = nn.Linear(2 * heads * head_dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_dim, dim), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_bte: Tensor, mask_bt: Tensor) -> Tensor:
        """Run the layer, shape (b, t, e) to (b, t, e); real snippets attend only to real ones."""
        x_bte = x_bte + self.dropout(self.out(self._attend(self.norm1(x_bte), mask_bt)))
        return x_bte + self.mlp(self.norm2(x_bte))

    def _attend(self, x_bte: Tensor, mask_bt: Tensor) -> Tensor:
        query, key, value, local = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkvl(x_bte).chunk(4, dim=-1)
        )
        by_content = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_bt[:, None, None])
        real_bt1 = mask_bt[..., None].to(local.dtype)
        # Dividing column j of the weights by its sum is the same as dividing value j. The weights are symmetric.
        # The sum of a real snippet is at least 1, its own weight; that of padding far away is 0.
        by_distance = sum_nearby(local * (real_bt1 / sum_nearby(real_bt1).clamp_min(1.0))[:, None])
        return torch.cat([by_content, by_distance], dim=-1).transpose(1, 2).flatten(2)


def sum_nearby(values: Tensor) -> Tensor:
    """For each snippet i, the sum over all j of ``exp(-|i - j| / e)`` times the value of j.

    Computed in parts of 1024 snippets. In longer videos, snippets more than 64 away from a part are skipped, since
    their weights are below 1e-10. So memory grows linearly with the length.

    Args:
        values (Tensor): Values, shape (..., t, channels).

    Returns:
        Tensor: Sums, same shape.
    """
    length = values.shape[-2]
    if torch.compiler.is_exporting():  # a graph has no loop over the parts of a video
        places = torch.arange(length, device=values.device, dtype=torch.float32)
        return (-(places[:, None] - places).abs() / math.e).exp().to(values.dtype) @ values
    steps = torch.arange(length, device=values.device, dtype=torch.float32)
    sums = []
    for start in range(0, length, ROWS):
        seen = slice(max(start - REACH, 0), start + ROWS + REACH)
        weights = (-(steps[start : start + ROWS, None] - steps[seen]).abs() / math.e).exp()
        sums.append(weights.to(values.dtype) @ values[..., seen, :])
    return torch.cat(sums, dim=-2)
