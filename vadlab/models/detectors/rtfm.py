# Shapes: b videos (or videos x crops), p pairs of a normal and an abnormal video, c crops, t snippets, d feature
# channels, k chosen snippets.
from typing import ClassVar

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from .magnitude_detector import MagnitudeDetector


@MODELS.register_module()
class RTFM(MagnitudeDetector):
    """Robust temporal feature magnitude (RTFM): abnormal snippets have features of large magnitude.

    Tian et al., "Weakly-supervised Video Anomaly Detection with Robust Temporal Feature Magnitude Learning", ICCV 2021,
    arXiv:2101.10030; the authors' code is https://github.com/tianyu0207/RTFM.

    ::

        features (b*c, t, d) -> multi-scale temporal network -> dropout -> x (b*c, t, d) -> three layers -> scores
                                                                          |
                                             norm of x, mean over crops, dropout -> top k snippets of each video
                                                                                          |
              loss_magnitude: norm of their mean feature to `margin` in abnormal and 0 in normal videos
              loss_score:     cross-entropy of the mean of their scores

    Where code and paper differ, we follow the code; see docs/parity.md.

    Args:
        feature_dim (int): Feature channels d, a multiple of 8.
        hidden_dims (tuple[int, int]): Units of the classifier's hidden layers.
        dropout (float): Share of features, hidden units and magnitudes dropped in training, 0..1.
        topk (int): Number of snippets k chosen per video; the code has 32 // 10.
        margin (float): Target norm of abnormal features.
        magnitude_weight (float): Factor of loss_magnitude.
        sparsity_weight (float): Factor of loss_sparsity.
        smoothness_weight (float): Factor of loss_smoothness.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: ``feature_dim`` is not a multiple of 8, or ``topk`` is less than 1.
    """

    public_layouts = ('tianyu0207/RTFM',)
    public_rules: ClassVar = {
        'Aggregate.conv_1.0.weight': {
            r'Aggregate\.conv_1\.0': 'temporal.dilated.0.conv',
            r'Aggregate\.conv_1\.2': 'temporal.dilated.0.norm',
            r'Aggregate\.conv_2\.0': 'temporal.dilated.1.conv',
            r'Aggregate\.conv_2\.2': 'temporal.dilated.1.norm',
            r'Aggregate\.conv_3\.0': 'temporal.dilated.2.conv',
            r'Aggregate\.conv_3\.2': 'temporal.dilated.2.norm',
            r'Aggregate\.conv_4\.0': 'temporal.reduce',
            r'Aggregate\.conv_5\.0': 'temporal.fuse.conv',
            r'Aggregate\.conv_5\.2': 'temporal.fuse.norm',
            r'Aggregate\.non_local\.theta': 'temporal.non_local.query',
            r'Aggregate\.non_local\.phi': 'temporal.non_local.key',
            r'Aggregate\.non_local\.g': 'temporal.non_local.value',
            r'Aggregate\.non_local\.W\.0': 'temporal.non_local.out',
            r'Aggregate\.non_local\.W\.1': 'temporal.non_local.norm',
            'fc1': 'fc1',
            'fc2': 'fc2',
            'fc3': 'fc3',
        },
    }

    def __init__(
        self,
        feature_dim: int = 2048,
        hidden_dims: tuple[int, int] = (512, 128),
        dropout: float = 0.7,
        topk: int = 3,
        margin: float = 100.0,
        magnitude_weight: float = 1e-4,
        sparsity_weight: float = 8e-3,
        smoothness_weight: float = 8e-4,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if feature_dim % 8 or topk < 1:
            raise ConfigError(f'RTFM: feature_dim={feature_dim} must be a multiple of 8 and topk={topk} at least 1.')
        self.temporal = MultiScaleTemporalNetwork(feature_dim)
        self.fc1 = nn.Linear(feature_dim, hidden_dims[0])
        self.fc2 = nn.Linear(hidden_dims[0], hidden_dims[1])
        self.fc3 = nn.Linear(hidden_dims[1], 1)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.topk = topk
        self.margin = margin
        self.magnitude_weight = magnitude_weight
        self.sparsity_weight = sparsity_weight
        self.smoothness_weight = smoothness_weight

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`.

        Returns:
            dict[str, Tensor]: loss_score, loss_magnitude, loss_sparsity and loss_smoothness.

        Raises:
            ConfigError: The batch does not have as many normal as abnormal videos.
        """
        # The score of a video is that of its features with the largest norm; crops have separate magnitude losses.
        chosen = self.choose(feats_bctd, mask_bt, data_samples)
        normal, abnormal = chosen.normal, chosen.abnormal
        length_abnormal_pc = _mean_of(chosen.feats_bcte[abnormal], chosen.top_abnormal).norm(dim=-1)
        length_normal_pc = _mean_of(chosen.feats_bcte[normal], chosen.top_normal).norm(dim=-1)

        row, real = chosen.scores_bt[abnormal].flatten(), mask_bt[abnormal].flatten()
        steps = row.diff().masked_fill(~(real[1:] & real[:-1]), 0.0)
        distance_pc = (self.margin - length_abnormal_pc).abs() + length_normal_pc
        return {
            'loss_score': chosen.loss_score,
            'loss_magnitude': self.magnitude_weight * distance_pc.square().mean(),
            'loss_sparsity': self.sparsity_weight * row.masked_fill(~real, 0.0).norm(),
            'loss_smoothness': self.smoothness_weight * steps.square().sum(),
        }

    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Temporal features, shape (b, t, d), and logits, shape (b, t)."""
        feats_btd = self.dropout(self.temporal(feats_btd, mask_bt))
        hidden = self.dropout(self.fc1(feats_btd).relu())
        hidden = self.dropout(self.fc2(hidden).relu())
        return feats_btd, self.fc3(hidden).squeeze(-1)


def _mean_of(feats_pctd: Tensor, places_pk: Tensor) -> Tensor:
    """Mean feature over the chosen snippets, shape (p, c, d)."""
    return feats_pctd.take_along_dim(places_pk[:, None, :, None], dim=2).mean(2)


class MultiScaleTemporalNetwork(nn.Module):
    """Multi-scale temporal network: dilated convolutions (near) and attention (far), added to the features.

    Section 3.2 of the paper, as in the authors' code. Padding does not affect a video: convolutions treat it as zero
    padding, and attention masks it. (Batch statistics in training include it.)

    Args:
        channels (int): Feature channels d, a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        part = channels // 4
        self.dilated = nn.ModuleList(
            ConvReLUNorm(channels, part, dilation=dilation, bias=True) for dilation in (1, 2, 4)
        )
        self.reduce = nn.Conv1d(channels, part, 1, bias=False)
        self.non_local = NonLocal(part)
        self.fuse = ConvReLUNorm(channels, channels, dilation=1, bias=False)

    def forward(self, feats_btd: Tensor, mask_bt: Tensor) -> Tensor:
        """Features of the same shape, (b, t, d); those of padding are undefined."""
        mask_b1t = mask_bt[:, None]
        feats_bdt = feats_btd.transpose(1, 2)
        near = [layer(feats_bdt) for layer in self.dilated]
        far = self.non_local(self.reduce(feats_bdt).relu(), mask_b1t)
        fused = self.fuse(torch.cat([*near, far], 1).masked_fill(~mask_b1t, 0.0))
        return (fused + feats_bdt).transpose(1, 2)


class ConvReLUNorm(nn.Module):
    """Convolution over three snippets, then ReLU, then batch norm; (b, d, t) to (b, d', t)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=bias)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, feats_bdt: Tensor) -> Tensor:
        return self.norm(self.conv(feats_bdt).relu())


class NonLocal(nn.Module):
    """Non-local block: attention by dot products, divided by the number of snippets; keeps the shape (b, d, t).

    Wang et al., "Non-local Neural Networks", CVPR 2018, arXiv:1711.07971, the dot-product version. Without a softmax,
    the products can be computed in either order. The cheaper order for the length is used, so memory grows linearly
    with long videos.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.query, self.key, self.value = (nn.Conv1d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv1d(inner, channels, 1)
        self.norm = nn.BatchNorm1d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, feats_bdt: Tensor, mask_b1t: Tensor) -> Tensor:
        query_btd = self.query(feats_bdt).transpose(1, 2)
        key_bdt = self.key(feats_bdt).masked_fill(~mask_b1t, 0.0) / mask_b1t.sum(2, keepdim=True)
        value_btd = self.value(feats_bdt).transpose(1, 2)
        # The length is not known in an export.
        if not torch.compiler.is_exporting() and feats_bdt.shape[2] <= key_bdt.shape[1]:
            read_btd = query_btd @ key_bdt @ value_btd
        else:
            read_btd = query_btd @ (key_bdt @ value_btd)
        return self.norm(self.out(read_btd.transpose(1, 2))) + feats_bdt
