# Shapes: b videos, p positions for snippets, w windows of s positions each, d channels, e = d / 2.
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError

from .activations import QuickGELU
from .residual_attention_block import ResidualAttentionBlock

SIMILAR = 0.7  # cosine similarities up to here count as 0


class LocalGlobalAdapter(nn.Module):
    """Adds temporal context to frozen snippet features: local (windows) and global (graphs).

    Wu et al., "VadCLIP", AAAI 2024, arXiv:2308.11681, section "Local and Global Temporal Adapter".

    ::

        features + positions -> transformer within windows -> x -+- graph of similar snippets, twice -+- linear -> out
                                                                 +- graph of near snippets, twice ----+

    Every video has the same number of positions; those past its end are filled with zeros. As in the authors' code,
    they are not masked: they have position embeddings, share the last window with real snippets, are neighbours in the
    graph of near snippets, and their outputs are returned. Only the graph of similar snippets excludes them.

    A window without a real snippet is the same in every video. It goes through the transformer once per batch. This is
    exact and saves the transformer's work on padding.

    Args:
        width (int): Channels d, even.
        length (int): Positions p of a video.
        window (int): Positions s of a window, a divisor of ``length``.
        layers (int): Transformer blocks.
        heads (int): Attention heads.

    Raises:
        ConfigError: ``window`` does not divide ``length``, or ``width`` is odd.
    """

    def __init__(self, width: int = 512, length: int = 256, window: int = 8, layers: int = 2, heads: int = 1) -> None:
        super().__init__()
        if window < 1 or length % window:
            raise ConfigError(f'LocalGlobalAdapter: window={window} does not divide length={length}.')
        if width % 2:
            raise ConfigError(f'LocalGlobalAdapter: width={width} must be even: two graphs share the channels.')
        self.length = length
        self.window = window
        self.positional_embedding = nn.Parameter(torch.randn(length, width) * 0.01)
        self.blocks = nn.ModuleList(ResidualAttentionBlock(width, heads) for _ in range(layers))
        self.similar1 = GraphConvolution(width, width // 2)
        self.similar2 = GraphConvolution(width // 2, width // 2)
        self.near1 = GraphConvolution(width, width // 2)
        self.near2 = GraphConvolution(width // 2, width // 2)
        self.linear = nn.Linear(width, width)
        self.act = QuickGELU()
        places = torch.arange(length, dtype=torch.float32)
        nearness = torch.exp((places - places[:, None]).abs() / -math.e)
        self.register_buffer('nearness', nearness, persistent=False)
        for block in self.blocks:  # the initialisation of torch.nn.MultiheadAttention
            nn.init.xavier_uniform_(block.qkv.weight)
            nn.init.zeros_(block.qkv.bias)
            nn.init.zeros_(block.out.bias)

    def forward(self, feats_bpd: Tensor, lengths: Sequence[int] | Tensor) -> Tensor:
        """Adapted snippet features.

        Args:
            feats_bpd (Tensor): Snippet features, zeros past each video's end, shape (b, p, d).
            lengths (Sequence[int] | Tensor): Number of real snippets of each video, 1 to p; on the host, to avoid a
                synchronisation with the device. A tensor only in an export.

        Returns:
            Tensor: Shape (b, p, d), positions past the end included.
        """
        x_bpd = self._within_windows(feats_bpd, lengths)
        similar_bpp = self.similarity(x_bpd, lengths)
        similar_bpe = self.act(self.similar1(x_bpd, similar_bpp))
        near_bpe = self.act(self.near1(x_bpd, self.nearness))
        similar_bpe = self.act(self.similar2(similar_bpe, similar_bpp))
        near_bpe = self.act(self.near2(near_bpe, self.nearness))
        return self.linear(torch.cat([similar_bpe, near_bpe], dim=-1))

    def _within_windows(self, feats_bpd: Tensor, lengths: Sequence[int] | Tensor) -> Tensor:
        """Add position embeddings and run the transformer within each window, shape (b, p, d)."""
        shape = feats_bpd.shape
        num_windows = self.length // self.window
        if torch.compiler.is_exporting():  # the saving below depends on values
            windows = (feats_bpd + self.positional_embedding).view(-1, self.window, shape[-1])
            for block in self.blocks:
                windows = block(windows) if block.heads > 1 else _one_head(block, windows)
            return windows.view(-1, self.length, shape[-1])
        filled_b = torch.tensor([-(-n // self.window) for n in lengths])
        least = int(filled_b.min())
        blank = self.positional_embedding.unflatten(0, (num_windows, self.window))[least:]
        windows = (feats_bpd + self.positional_embedding).view(-1, self.window, shape[-1])
        rows = (torch.arange(num_windows) < filled_b[:, None]).flatten().nonzero()[:, 0]
        if least < num_windows:
            rows = rows.to(feats_bpd.device, non_blocking=True)
            windows = torch.cat([windows[rows], blank.to(windows.dtype)])
        for block in self.blocks:
            windows = block(windows) if block.heads > 1 else _one_head(block, windows)
        if least == num_windows:
            return windows.view(shape)
        real, blank = windows.split([len(rows), len(blank)])
        everywhere = F.pad(blank, (0, 0, 0, 0, least, 0)).expand(shape[0], -1, -1, -1).flatten(0, 1)
        return everywhere.index_copy(0, rows, real).view(shape)

    def similarity(self, x_bpd: Tensor, lengths: Sequence[int] | Tensor) -> Tensor:
        """Adjacency of the graph of similar snippets: rows sum to 1, or to 0 past the end, shape (b, p, p)."""
        lengths_b = lengths
        if not isinstance(lengths_b, Tensor):
            lengths_b = torch.tensor(list(lengths)).to(x_bpd.device, non_blocking=True)
        real_bp = torch.arange(self.length, device=x_bpd.device) < lengths_b[:, None]
        norms_bp1 = torch.linalg.vector_norm(x_bpd, dim=-1, keepdim=True)
        cosines = x_bpd @ x_bpd.mT / (norms_bp1 @ norms_bp1.mT + 1e-20)
        logits = F.threshold(cosines, SIMILAR, 0.0).masked_fill(~real_bp[:, None], -torch.inf)
        return logits.softmax(dim=-1) * real_bp[:, :, None]


def _one_head(block: ResidualAttentionBlock, x_wsd: Tensor) -> Tensor:
    """Output of ``block`` with a single head, computed with half of the projections, shape (w, s, d).

    A single head is as wide as the tokens. So the query and key projections merge into one matrix, and so do the value
    and output projections; merging them costs almost nothing. The bias of the keys shifts all logits of a query by the
    same amount and cancels in the softmax.
    """
    of_query, of_key, of_value = block.qkv.weight.chunk(3)
    query_bias, _, value_bias = block.qkv.bias.chunk(3)
    normed = block.norm1(x_wsd)
    probe = F.linear(normed, of_key.T @ of_query, query_bias @ of_key)
    if torch.compiler.is_exporting():  # the exporter knows attention only with heads
        probe, normed = probe[:, None], normed[:, None]
        mixed = F.scaled_dot_product_attention(probe, normed, normed)[:, 0]
    else:
        mixed = F.scaled_dot_product_attention(probe, normed, normed)
    x_wsd = x_wsd + F.linear(mixed, block.out.weight @ of_value, F.linear(value_bias, block.out.weight, block.out.bias))
    return x_wsd + block.fc2(block.act(block.fc1(block.norm2(x_wsd))))


class GraphConvolution(nn.Module):
    """Graph convolution with a residual: ``graph @ (x weight) + residual(x)``.

    The residual is x itself, or a convolution over time if the number of channels changes.

    Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, arXiv:1609.02907,
    with the residual of Wu et al., "Not only Look, but also Listen", ECCV 2020, arXiv:2007.04687.

    Args:
        in_dim (int): Channels of x.
        out_dim (int): Channels of the result.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Linear(in_dim, out_dim, bias=False)
        nn.init.xavier_uniform_(self.weight.weight)
        self.residual = nn.Conv1d(in_dim, out_dim, kernel_size=5, padding=2) if in_dim != out_dim else None

    def forward(self, x_bpd: Tensor, graph: Tensor) -> Tensor:
        """Convolve features (b, p, in_dim) over a graph (p, p) or (b, p, p), shape (b, p, out_dim)."""
        rest = x_bpd if self.residual is None else self.residual(x_bpd.mT).mT
        return graph @ self.weight(x_bpd) + rest
