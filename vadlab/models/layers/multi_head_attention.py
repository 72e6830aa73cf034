# Shapes: n sequences, q queries, k keys, d width, h heads of c channels.
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError


class MultiHeadAttention(nn.Module):
    """Multi-head attention whose projected keys and values can be cached.

    Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, section 3.2.2.
    :class:`torch.nn.MultiheadAttention` does not return projected keys and values.

    Args:
        width (int): Channels d.
        heads (int): Attention heads h, a divisor of ``width``.
        dropout (float): Share of attention weights dropped in training.

    Raises:
        ConfigError: ``heads`` does not divide ``width``.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f'width={width} is not a multiple of heads={heads}.')
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def split(self, x_nqd: Tensor) -> Tensor:
        """Split channels into heads, shape (n, q, d) to (n, h, q, c)."""
        return x_nqd.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(
        self, query_nhqc: Tensor, key_nhkc: Tensor, value_nhkc: Tensor, bias: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attention over projected queries, keys and values.

        Args:
            query_nhqc (Tensor): Projected queries.
            key_nhkc (Tensor): Projected keys.
            value_nhkc (Tensor): Projected values.
            bias (Tensor | None): Added to the logits, broadcast to shape (n, h, q, k).
            causal (bool): A query sees only the keys up to its own position.

        Returns:
            Tensor: Shape (n, q, d).
        """
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            query_nhqc, key_nhkc, value_nhkc, attn_mask=bias, dropout_p=dropout, is_causal=causal
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, query_nqd: Tensor, key_nkd: Tensor, value_nkd: Tensor, bias: Tensor | None = None) -> Tensor:
        """Project queries, keys and values, then :meth:`attend`, shape (n, q, d)."""
        query, key, value = self.query(query_nqd), self.key(key_nkd), self.value(value_nkd)
        return self.attend(self.split(query), self.split(key), self.split(value), bias)
