# Shapes: b videos (or videos x crops), n normal or abnormal videos, c crops, t snippets, d feature channels, e channels
# of a stage, k chosen snippets.
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from .magnitude_detector import MagnitudeDetector

KINDS = ('glance', 'focus')


@MODELS.register_module()
class MGFN(MagnitudeDetector):
    """MGFN: attention over the whole video, then over neighbours, and a contrast of feature magnitudes.

    Chen et al., "MGFN: Magnitude-Contrastive Glance-and-Focus Network for Weakly-Supervised Video Anomaly Detection",
    AAAI 2023, arXiv:2211.15098. Authors' code: https://github.com/carolchenyx/MGFN.

    ::

        features -> conv over t --------\
        their norms -> conv over t, x 0.1 + -> glance blocks -> focus blocks -> focus blocks -> norm -> x -> score
                                                                                                       |
                                                    norm of x, mean over crops, dropout -> top k snippets of each video

    ``loss_score`` is the cross-entropy of the mean of the scores of the top snippets. ``loss_contrast`` pushes the
    magnitudes (L1 norms) of top abnormal and normal snippets apart; ``loss_alike`` brings those of one kind together.

    We follow the authors' code, which gave the published numbers, also where the paper differs:

    - ``loss_sparsity`` is computed from the scores of normal videos, ``loss_smoothness`` from those of all videos.
    - ``loss_alike`` compares the first with the second half of the batch's crops, ordered by crop and then by video.
      With an even number of crops, these are two crops of the same video.

    Their batches have videos of one length. Here attention and convolutions mask padding; batch statistics in training
    include it, so the configs resample all videos to the same length. Without padding, both codes agree; see
    docs/parity.md.

    Args:
        feature_dim (int): Feature channels d.
        dims (tuple[int, ...]): Channels e of each stage, multiples of ``head_dim``.
        depths (tuple[int, ...]): Blocks of each stage.
        kinds (tuple[str, ...]): ``glance`` (attention) or ``focus`` (convolution) for each stage.
        head_dim (int): Channels of an attention head.
        kernel_size (int): Snippets that a focus block sees, odd.
        mlp_ratio (int): Hidden channels of a block's MLP, as a multiple of e.
        magnitude_ratio (float): Factor of the layer of the features' norms.
        dropout (float): Share of magnitudes hidden in training, 0..1.
        topk (int): Number of snippets k chosen per video.
        margin (float): Target distance of abnormal and normal magnitudes.
        contrast_weight (float): Factor of loss_contrast.
        alike_weight (float): Factor of loss_alike.
        sparsity_weight (float): Factor of loss_sparsity.
        smoothness_weight (float): Factor of loss_smoothness.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: The stages do not agree, a kind is unknown, or ``dims`` are not multiples of ``head_dim``.
    """

    attends_to_all = True
    public_layouts = ('https://github.com/carolchenyx/MGFN.',)
    public_rules: ClassVar = {
        'to_mag.weight': {
            'to_tokens': 'to_tokens',
            'to_mag': 'to_magnitudes',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.0': r'stages.\1.\2.conv',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.1\.norm(\.[gb])?': r'stages.\1.\2.mixer.norm\3',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.1\.to_qkv': r'stages.\1.\2.mixer.qkv',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.1\.to_v': r'stages.\1.\2.mixer.value',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.1\.rel_pos': r'stages.\1.\2.mixer.nearby',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.1\.to_out': r'stages.\1.\2.mixer.out',
            r'stages\.(\d+)\.0\.layers\.(\d+)\.2\.(\d)(\.[gb])?': r'stages.\1.\2.mlp.\3\4',
            r'stages\.(\d+)\.1\.([01])(\.[gb])?': r'transitions.\1.\2\3',
            r'to_logits\.0': 'norm',
            'fc': 'classifier',
        },
    }

    def __init__(
        self,
        feature_dim: int = 2048,
        dims: tuple[int, ...] = (64, 128, 1024),
        depths: tuple[int, ...] = (3, 3, 2),
        kinds: tuple[str, ...] = ('glance', 'focus', 'focus'),
        head_dim: int = 64,
        kernel_size: int = 5,
        mlp_ratio: int = 4,
        magnitude_ratio: float = 0.1,
        dropout: float = 0.7,
        topk: int = 3,
        margin: float = 200.0,
        contrast_weight: float = 1e-6,
        alike_weight: float = 1e-3,
        sparsity_weight: float = 8e-3,
        smoothness_weight: float = 8e-4,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if not len(dims) == len(depths) == len(kinds) or set(kinds) - set(KINDS) or any(dim % head_dim for dim in dims):
            raise ConfigError(
                f'MGFN: dims={dims}, depths={depths} and kinds={kinds} must have one entry per stage, dims be '
                f'multiples of head_dim={head_dim}, and kinds be {" or ".join(KINDS)}.'
            )
        if topk < 1 or kernel_size % 2 == 0:
            raise ConfigError(f'MGFN: topk={topk} must be at least 1 and kernel_size={kernel_size} odd.')
        self.to_tokens = nn.Conv1d(feature_dim, dims[0], 3, padding=1)
        self.to_magnitudes = nn.Conv1d(1, dims[0], 3, padding=1)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(dim, kind, head_dim, kernel_size, mlp_ratio) for _ in range(depth))
            for dim, depth, kind in zip(dims, depths, kinds, strict=True)
        )
        self.transitions = nn.ModuleList(
            nn.Sequential(ChannelNorm(dim), nn.Conv1d(dim, wider, 1))
            for dim, wider in zip(dims[:-1], dims[1:], strict=True)
        )
        self.norm = nn.LayerNorm(dims[-1])
        self.classifier = nn.Linear(dims[-1], 1)
        self.dropout = nn.Dropout(dropout)
        self.magnitude_ratio = magnitude_ratio
        self.topk = topk
        self.margin = margin
        self.contrast_weight = contrast_weight
        self.alike_weight = alike_weight
        self.sparsity_weight = sparsity_weight
        self.smoothness_weight = smoothness_weight

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`.

        Returns:
            dict[str, Tensor]: loss_score, loss_contrast, loss_alike, loss_sparsity and loss_smoothness.

        Raises:
            ConfigError: The batch does not have as many normal as abnormal videos.
        """
        chosen = self.choose(feats_bctd, mask_bt, data_samples)
        normal, abnormal, scores_bt = chosen.normal, chosen.abnormal, chosen.scores_bt
        sizes_abnormal_rk = _magnitudes_of(chosen.feats_bcte[abnormal], chosen.top_abnormal)
        sizes_normal_rk = _magnitudes_of(chosen.feats_bcte[normal], chosen.top_normal)

        apart_r = (self.margin - F.pairwise_distance(sizes_abnormal_rk, sizes_normal_rk)).relu()
        real = mask_bt[:, 1:] & mask_bt[:, :-1]
        steps_bt = scores_bt.diff(dim=1).masked_fill(~real, 0.0)
        return {
            'loss_score': chosen.loss_score,
            'loss_contrast': self.contrast_weight * apart_r.square().mean(),
            'loss_alike': self.alike_weight
            * (_distance_of_halves(sizes_normal_rk) + _distance_of_halves(sizes_abnormal_rk)),
            'loss_sparsity': self.sparsity_weight * scores_bt[normal].masked_fill(~mask_bt[normal], 0.0).norm(),
            'loss_smoothness': self.smoothness_weight * steps_bt.square().sum(),
        }

    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised features, shape (b, t, e), and logits, shape (b, t)."""
        mask_b1t = mask_bt[:, None]
        feats_bdt = feats_btd.transpose(1, 2) * mask_b1t
        norms_b1t = feats_bdt.norm(dim=1, keepdim=True)
        x_bet = self.to_tokens(feats_bdt) + self.magnitude_ratio * self.to_magnitudes(norms_b1t)
        for i, stage in enumerate(self.stages):
            for block in stage:
                x_bet = block(x_bet, mask_b1t)
            if i < len(self.transitions):
                x_bet = self.transitions[i](x_bet)
        x_bte = self.norm(x_bet.transpose(1, 2))
        return x_bte, self.classifier(x_bte)[..., 0]


def _magnitudes_of(x_ncte: Tensor, places_nk: Tensor) -> Tensor:
    """L1 norms of the chosen snippets, by crop and then by video, shape (c * n, k)."""
    return x_ncte.norm(p=1, dim=-1).transpose(0, 1).take_along_dim(places_nk[None], dim=2).flatten(0, 1)


def _distance_of_halves(sizes_rk: Tensor) -> Tensor:
    """Mean squared distance between the rows of the first and the second half; 0 for a single row."""
    half = len(sizes_rk) // 2
    distances = F.pairwise_distance(sizes_rk[half : 2 * half], sizes_rk[:half])
    return distances.square().sum() / max(half, 1)


class Block(nn.Module):
    """Convolution, then attention (glance) or a convolution with shared weights (focus), then an MLP; each a residual.

    Args:
        dim (int): Channels e.
        kind (str): ``glance`` or ``focus``.
        head_dim (int): Channels of an attention head.
        kernel_size (int): Snippets that ``focus`` sees.
        mlp_ratio (int): Hidden channels of the MLP, as a multiple of ``dim``.
    """

    def __init__(self, dim: int, kind: str, head_dim: int, kernel_size: int, mlp_ratio: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 3, padding=1)
        heads = dim // head_dim
        self.mixer = Glance(dim, heads) if kind == 'glance' else Focus(dim, heads, kernel_size)
        self.mlp = nn.Sequential(
            ChannelNorm(dim),
            nn.Conv1d(dim, dim * mlp_ratio, 1),
            nn.GELU(),
            nn.Identity(),  # the authors' dropout of 0
            nn.Conv1d(dim * mlp_ratio, dim, 1),
        )

    def forward(self, x_bet: Tensor, mask_b1t: Tensor) -> Tensor:
        """Shape (b, e, t) to the same; values at padding are undefined."""
        x_bet = self.conv(x_bet * mask_b1t) + x_bet
        x_bet = self.mixer(x_bet, mask_b1t) + x_bet
        return self.mlp(x_bet) + x_bet


class Glance(nn.Module):
    """Attention among all snippets of a video, shape (b, e, t) to the same."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(dim)
        self.qkv = nn.Conv1d(dim, 3 * dim, 1, bias=False)
        self.out = nn.Conv1d(dim, dim, 1)

    def forward(self, x_bet: Tensor, mask_b1t: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(1, (self.heads, -1)).mT for part in self.qkv(self.norm(x_bet)).chunk(3, dim=1)
        )
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_b1t[:, None])
        return self.out(read.mT.flatten(1, 2))


class Focus(nn.Module):
    """Convolution over neighbours whose weights the channels of a head share, shape (b, e, t) to the same."""

    def __init__(self, dim: int, heads: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.value = nn.Conv1d(dim, dim, 1, bias=False)
        self.nearby = nn.Conv1d(heads, heads, kernel_size, padding=kernel_size // 2, groups=heads)
        self.out = nn.Conv1d(dim, dim, 1)

    def forward(self, x_bet: Tensor, mask_b1t: Tensor) -> Tensor:
        value_bet = self.value(self.norm(x_bet)) * mask_b1t
        heads = self.nearby.out_channels
        # Channel i belongs to head i % heads.
        shared = self.nearby(value_bet.unflatten(1, (-1, heads)).flatten(0, 1))
        return self.out(shared.unflatten(0, (x_bet.shape[0], -1)).flatten(1, 2))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (b, e, t), with epsilon added to the standard deviation."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1, dim, 1))
        self.b = nn.Parameter(torch.zeros(1, dim, 1))

    def forward(self, x_bet: Tensor) -> Tensor:
        deviation = x_bet.var(dim=1, unbiased=False, keepdim=True).sqrt()
        return (x_bet - x_bet.mean(dim=1, keepdim=True)) / (deviation + self.eps) * self.g + self.b
