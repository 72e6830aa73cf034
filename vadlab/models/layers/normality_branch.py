# Shapes: b videos, p positions, s snippets treated as normal, m prototypes, d channels, h heads of f channels, q
# queries.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError

from .mlp import MLP

HEADS = 8


class NormalityBranch(nn.Module):
    """Reconstructs a video from its own normal patterns; a large reconstruction error means abnormal.

    Yin et al., "Learning to Tell Apart" (DSANet), AAAI 2026, arXiv:2511.10334, section on self-guided normality
    modelling, after Luo et al., "Exploring Intrinsic Normal Prototypes within a Single Image", CVPR 2025,
    arXiv:2503.02424.

    ::

        learnt prototypes (m, d) --attend to snippets treated as normal--> the video's normal patterns (b, m, d)
        x -> MLP -> decoder blocks, each a sum of those patterns, no residual -> x reconstructed

    Args:
        dim (int): Channels d, a multiple of 8, the number of heads.
        prototypes (int): Prototypes m.
        decoder_layers (int): Blocks of the decoder.

    Raises:
        ConfigError: ``dim`` is not a multiple of 8.
    """

    def __init__(self, dim: int, prototypes: int = 16, decoder_layers: int = 8) -> None:
        super().__init__()
        if dim % HEADS:
            raise ConfigError(f'NormalityBranch: dim={dim} is not a multiple of its {HEADS} heads.')
        self.prototypes = nn.Parameter(torch.randn(prototypes, dim))
        self.aggregation = AggregationBlock(dim)
        self.bottleneck = MLP(dim)
        self.decoder = nn.ModuleList(PrototypeBlock(dim) for _ in range(decoder_layers))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01, a=-0.03, b=0.03)
                nn.init.zeros_(layer.bias)

    def forward(self, x_bpd: Tensor, normal_bsd: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct a video, and measure how compact its normal patterns are.

        Args:
            x_bpd (Tensor): Adapted features, shape (b, p, d).
            normal_bsd (Tensor): The features treated as normal, shape (b, s, d).

        Returns:
            tuple[Tensor, Tensor]: The reconstructed video, shape (b, p, d); and the mean cosine distance between each
            normal snippet and its nearest normal pattern, scalar.
        """
        patterns_bmd = self.aggregation(self.prototypes.expand(len(x_bpd), -1, -1), normal_bsd)
        cosines_bsm = F.normalize(normal_bsd, dim=-1) @ F.normalize(patterns_bmd, dim=-1).mT
        rebuilt_bpd = self.bottleneck(x_bpd)
        for block in self.decoder:
            rebuilt_bpd = block(rebuilt_bpd, patterns_bmd)
        return rebuilt_bpd, (1 - cosines_bsm.amax(-1)).mean()


class CrossBlock(nn.Module):
    """Base of both blocks: norms, projections and an MLP; ``norm1`` normalises both x and y.

    Args:
        dim (int): Channels d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-8)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-8)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def project(self, x_bqd: Tensor, y_bmd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of x, keys and values of y, split into heads, shapes (b, h, q, f) and (b, h, m, f)."""
        key, value = self.key_value(self.norm1(y_bmd)).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.query(self.norm1(x_bqd)), key, value)
        )
        return query, key, value

    def join(self, mixed_bhqf: Tensor) -> Tensor:
        """Concatenate the heads and project, shape (b, q, d)."""
        return self.out(mixed_bhqf.transpose(1, 2).flatten(2))


class AggregationBlock(CrossBlock):
    """Pre-norm cross-attention with a softmax, and an MLP, both with residuals."""

    def forward(self, x_bmd: Tensor, y_bsd: Tensor) -> Tensor:
        """Let x, shape (b, m, d), attend to y, shape (b, s, d); shape (b, m, d)."""
        x_bmd = x_bmd + self.join(F.scaled_dot_product_attention(*self.project(x_bmd, y_bsd)))
        return x_bmd + self.mlp(self.norm2(x_bmd))


class PrototypeBlock(CrossBlock):
    """Cross-attention by ReLU of cosine similarities, without a residual; then an MLP with a residual."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.scale = nn.Parameter(torch.ones(HEADS, 1, 1))

    def forward(self, x_bpd: Tensor, y_bmd: Tensor) -> Tensor:
        """Express x, shape (b, p, d), as sums of y, shape (b, m, d); shape (b, p, d)."""
        query, key, value = self.project(x_bpd, y_bmd)
        weights_bhpm = (F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT * self.scale).relu()
        x_bpd = self.join(weights_bhpm @ value)
        return x_bpd + self.mlp(self.norm2(x_bpd))
