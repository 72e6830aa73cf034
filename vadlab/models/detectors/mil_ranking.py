# Shapes: b videos (or videos x crops), c crops, t snippets, s segments, d feature channels.
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from .snippet_detector import SnippetDetector


@MODELS.register_module()
class MILRanking(SnippetDetector):
    """MIL ranking: a small network on snippet features, trained by ranking videos; the first weakly supervised method.

    Sultani, Chen, Shah, "Real-World Anomaly Detection in Surveillance Videos", CVPR 2018, arXiv:1801.04264; the
    authors' code is WaqasSultani/AnomalyDetectionCVPR2018 (Keras and Matlab), which gave the paper's numbers.

    ::

        training: features (b, c, t, d), t = segments -> L2-normalise -> fc1 512, ReLU, dropout -> fc2 32, dropout
                  -> fc3 1, sigmoid -> scores (b, t) -> ranking, sparsity, smoothness
        tests:    snippets (b, t, d) -> mean over each of s segments -> the same -> the segments' scores on all snippets

    Where code and paper differ, we follow the code, except for the last snippet of a video and for crops; see
    docs/parity.md.

    Args:
        feature_dim (int): Feature channels d.
        hidden_dims (tuple[int, int]): Units of the two hidden layers.
        dropout (float): Share of hidden units dropped in training, 0..1.
        num_segments (int | None): Segments s per video in tests; None scores each snippet separately.
        normalize (bool): Scale each segment's feature to length 1.
        loss (dict | None): Config of the loss; ``dict(type='MILRankingLoss')`` by default.
        weight_l2 (float): Factor of the sum of squared weights, added as ``loss_weights``.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: ``num_segments`` is less than 1.
    """

    public_layouts = (
        'ekosman/AnomalyDetectionCVPR2018-Pytorch (state dict)',
        'seominseok0429/Real-world-Anomaly-Detection-in-Surveillance-Videos-pytorch',
    )
    # ekosman saves pickled modules, which can run code when loaded; only a state dict extracted from one is read.
    # Within its trainer the network has these names, outside it ours. seominseok0429 saves the parameters twice.
    public_rules: ClassVar = {
        'model.fc3.weight': {r'model\.fc([123])': r'fc\1'},
        'classifier.6.weight': {
            r'classifier\.0': 'fc1',
            r'classifier\.3': 'fc2',
            r'classifier\.6': 'fc3',
            r'vars\..*': None,  # a second copy of the same parameters
        },
    }

    def __init__(
        self,
        feature_dim: int = 2048,
        hidden_dims: tuple[int, int] = (512, 32),
        dropout: float = 0.6,
        num_segments: int | None = 32,
        normalize: bool = True,
        loss: dict | None = None,
        weight_l2: float = 1e-3,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if num_segments is not None and num_segments < 1:
            raise ConfigError(f'MILRanking: num_segments={num_segments} must be at least 1, or None.')
        self.fc1 = nn.Linear(feature_dim, hidden_dims[0])
        self.fc2 = nn.Linear(hidden_dims[0], hidden_dims[1])
        self.fc3 = nn.Linear(hidden_dims[1], 1)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(dropout)
        self.num_segments = num_segments
        self.normalize = normalize
        self.ranking_loss = MODELS.build(loss or dict(type='MILRankingLoss'))
        self.weight_l2 = weight_l2

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`.

        Returns:
            dict[str, Tensor]: loss_ranking, loss_sparsity, loss_smoothness and loss_weights.

        Raises:
            ConfigError: The batch does not have as many normal as abnormal videos.
        """
        normal, abnormal = self.split(data_samples, equal=True)
        scores_bt = self._logits(feats_bctd).float().sigmoid().mean(1)
        terms = self.ranking_loss(scores_bt[normal], scores_bt[abnormal], mask_bt[normal], mask_bt[abnormal])
        squares = sum(layer.weight.square().sum() for layer in (self.fc1, self.fc2, self.fc3))
        return {**terms, 'loss_weights': self.weight_l2 * squares}

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores of snippets, equal within a segment; see :meth:`SnippetDetector.score`."""
        if self.num_segments is None:
            logits_bt = self._logits(feats_btd).float()
        else:
            segments_bsd, segment_bt = to_segments(feats_btd, mask_bt.sum(1), self.num_segments)
            logits_bt = self._logits(segments_bsd).float().gather(1, segment_bt)
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt}

    def _logits(self, feats_xd: Tensor) -> Tensor:
        if self.normalize:
            feats_xd = F.normalize(feats_xd, dim=-1)
        hidden = self.dropout(self.fc1(feats_xd).relu())
        return self.fc3(self.dropout(self.fc2(hidden))).squeeze(-1)


def to_segments(feats_btd: Tensor, counts_b: Tensor, num_segments: int) -> tuple[Tensor, Tensor]:
    """Mean features of segments, whose borders are rounded positions from the first to the last snippet.

    Args:
        feats_btd (Tensor): Snippet features, shape (B, T, D).
        counts_b (Tensor): Number of real snippets of each video, int64, 1..T, shape (B,).
        num_segments (int): Number of segments S.

    Returns:
        tuple[Tensor, Tensor]: Features of the segments, shape (B, S, D); and the segment of each snippet, int64,
        0..S-1, shape (B, T). Snippets after the last border belong to the last segment.
    """
    steps = torch.arange(num_segments + 1, device=feats_btd.device)
    # Halves are rounded up, as in MATLAB.
    edges = (2 * steps * (counts_b[:, None] - 1) + num_segments) // (2 * num_segments)
    start_bs = edges[:, :-1].contiguous()
    end_bs = torch.maximum(edges[:, 1:], start_bs + 1)  # a segment without snippets takes the one at its border
    # Differences of cumulative sums over a whole video are not accurate enough in float32.
    sums = F.pad(feats_btd.double().cumsum(1), (0, 0, 1, 0))
    ends_bsd, starts_bsd = (edge[..., None].expand(-1, -1, sums.shape[2]) for edge in (end_bs, start_bs))
    sums_bsd = sums.gather(1, ends_bsd) - sums.gather(1, starts_bsd)
    means_bsd = (sums_bsd / (end_bs - start_bs)[..., None]).to(feats_btd.dtype)
    snippets_t = torch.arange(feats_btd.shape[1], device=feats_btd.device)
    return means_bsd, (snippets_t[:, None] >= start_bs[:, None]).sum(2) - 1
