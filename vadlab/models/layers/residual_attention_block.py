# Shapes: n sequences, l tokens, d width, h heads of c channels, m sequences whose dense features are requested.
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError

from .activations import build_activation
from .attention import attend
from .correlative_attention import correlative_attention
from .layer_norm import LayerNorm


class ResidualAttentionBlock(nn.Module):
    """Pre-norm transformer block of CLIP's two towers.

    ``x + out(attention(norm1(x)))``, then ``x + fc2(act(fc1(norm2(x))))``, as in Radford et al., "Learning Transferable
    Visual Models From Natural Language Supervision", 2021, arXiv:2103.00020, section 2.4.

    Args:
        width (int): Channels d.
        heads (int): Attention heads, a divisor of ``width``.
        mlp_ratio (float): Hidden width of the MLP divided by d.
        hidden_act (str): ``quick_gelu`` or ``gelu``.
        causal (bool): Tokens see only themselves and those before them.

    Raises:
        ConfigError: ``heads`` does not divide ``width``, or the activation is unknown.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float = 4.0,
        hidden_act: str = 'quick_gelu',
        causal: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(heads, int) or heads < 1 or width % heads:
            raise ConfigError(f'width={width} is not a multiple of heads={heads}.')
        self.heads = heads
        self.causal = causal
        hidden = round(width * mlp_ratio)
        self.norm1 = LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.act = build_activation(hidden_act)
        self.fc2 = nn.Linear(hidden, width)

    def reset_parameters(self, layers: int) -> None:
        """Initialise weights as CLIP does: residual branches are scaled down by the tower's depth."""
        width = self.out.in_features
        branch_std = width**-0.5 * (2 * layers) ** -0.5
        nn.init.normal_(self.qkv.weight, std=width**-0.5)
        nn.init.normal_(self.out.weight, std=branch_std)
        nn.init.normal_(self.fc1.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(self.fc2.weight, std=branch_std)
        for layer in (self.qkv, self.out, self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)

    def forward(
        self, x_nld: Tensor, valid_nl: Tensor | None = None, adapter: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Run all tokens through the block, shape (n, l, d) to (n, l, d).

        Args:
            x_nld (Tensor): Hidden state before the block.
            valid_nl (Tensor | None): Tokens that may be attended to, bool, at least one per sequence; None for all. Not
                for causal blocks.
            adapter (Callable | None): Applied to the output of attention before it is added to the residual.
        """
        query, key, value = self.qkv(self.norm1(x_nld)).chunk(3, dim=-1)
        mixed_nld = self.out(self._attend(query, key, value, self.causal, valid_nl))
        x_nld = x_nld + (mixed_nld if adapter is None else adapter(mixed_nld))
        return x_nld + self._mlp(x_nld)

    def attention(self, x_nld: Tensor, valid_nl: Tensor | None = None) -> Tensor:
        """Attention weights of :meth:`forward`, mean over heads, rows sum to 1, shape (n, l, l)."""
        query, key, _ = self.qkv(self.norm1(x_nld)).chunk(3, dim=-1)
        query, key = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key))
        logits_nhll = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        if valid_nl is not None:
            logits_nhll = logits_nhll.masked_fill(~valid_nl[:, None, None], -torch.inf)
        return logits_nhll.softmax(-1).mean(1)

    def forward_aligned(
        self,
        x_nld: Tensor,
        num_image_tokens: int,
        adapter: Callable[[Tensor], Tensor] | None = None,
        correlative: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Ordinary and text-aligned output of a vision tower's last block.

        Args:
            x_nld (Tensor): Hidden state before the block: CLS, patches, and any other tokens that are attended to.
            num_image_tokens (int): Number of CLS and patch tokens; outputs of the other tokens are dropped.
            adapter (Callable | None): As for :meth:`forward`; not applied to aligned patches.
            correlative (bool): Align by correlative attention among patches; otherwise return the ordinary patches.

        Returns:
            tuple: CLS and patches, shape (n, num_image_tokens, d); aligned patches, shape (n, num_image_tokens - 1, d).
        """
        query, key, value = self.qkv(self.norm1(x_nld)).chunk(3, dim=-1)
        own_nld = x_nld[:, :num_image_tokens]
        mixed_nld = self.out(self._attend(query[:, :num_image_tokens], key, value, causal=False))
        ordinary_nld = own_nld + (mixed_nld if adapter is None else adapter(mixed_nld))
        ordinary_nld = ordinary_nld + self._mlp(ordinary_nld)
        if not correlative:
            return ordinary_nld, ordinary_nld[:, 1:]
        patches = (self._split(x[:, 1:num_image_tokens]) for x in (query, key, value))
        aligned_npd = own_nld[:, 1:] + self.out(correlative_attention(*patches).transpose(1, 2).flatten(2))
        return ordinary_nld, aligned_npd + self._mlp(aligned_npd)

    def forward_last(
        self,
        x_nld: Tensor,
        dense_rows: Tensor | slice | None,
        num_image_tokens: int | None = None,
        adapter: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """CLS and dense features of a vision tower's last block; computes only what is used.

        Args:
            x_nld (Tensor): Hidden state before the block, first token CLS, shape (n, l, d).
            dense_rows (Tensor | slice | None): Indices of the m sequences whose patches are wanted, int64, shape (m,).
            num_image_tokens (int | None): Number of CLS and patch tokens, if other tokens follow them.
            adapter (Callable | None): As for :meth:`forward`; for CLS only.

        Returns:
            tuple: The CLS token as :meth:`forward` would give it, shape (n, d); and the patches with attention replaced
            by its value and output projections, so that patches do not mix, shape (m, patches, d), or None.
        """
        d = x_nld.shape[-1]
        normed = self.norm1(x_nld)
        mixed_nd = self.out(self._attend_from_first(normed))
        cls_nd = x_nld[:, 0] + (mixed_nd if adapter is None else adapter(mixed_nd))
        cls_nd = cls_nd + self._mlp(cls_nd)
        if dense_rows is None:
            return cls_nd, None
        value = F.linear(normed[dense_rows, 1:num_image_tokens], self.qkv.weight[2 * d :], self.qkv.bias[2 * d :])
        patches = x_nld[dense_rows, 1:num_image_tokens] + self.out(value)
        return cls_nd, patches + self._mlp(patches)

    def _attend_from_first(self, normed_nld: Tensor) -> Tensor:
        """Attention output of the first token, shape (n, d), without projecting keys and values of all tokens.

        With one query per sequence, the product with the keys is cheaper as (query . key weights) . tokens, and the
        mean of the values is cheaper as (mean of tokens) . value weights. The bias of the keys shifts all logits by the
        same amount and cancels in the softmax.
        """
        of_query, of_key, of_value = self.qkv.weight.chunk(3)
        query_bias, _, value_bias = self.qkv.bias.chunk(3)
        query_nhc = F.linear(normed_nld[:, 0], of_query, query_bias).unflatten(-1, (self.heads, -1))
        probe_nhd = torch.einsum('nhc,hcd->nhd', query_nhc, of_key.unflatten(0, (self.heads, -1)))
        share_nhl = (probe_nhd @ normed_nld.transpose(1, 2) * query_nhc.shape[-1] ** -0.5).softmax(dim=-1)
        mean_nhd = share_nhl.to(normed_nld.dtype) @ normed_nld
        return torch.einsum('nhd,hcd->nhc', mean_nhd, of_value.unflatten(0, (self.heads, -1))).flatten(1) + value_bias

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, causal: bool, valid_nl: Tensor | None = None
    ) -> Tensor:
        query, key, value = (self._split(x) for x in (query, key, value))
        mask = None if valid_nl is None else valid_nl[:, None, None]
        mixed_nhld = attend(query, key, value, mask, causal)
        return mixed_nhld.transpose(1, 2).flatten(2)

    def _split(self, x_nld: Tensor) -> Tensor:
        """Split channels into heads, shape (n, h, l, c)."""
        return x_nld.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _mlp(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(self.norm2(x))))
