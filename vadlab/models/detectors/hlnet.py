# Shapes: b videos (or videos x crops), c crops, t snippets, d feature channels, e embedding channels, g graph channels.
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample

from ..layers.global_local_block import sum_nearby
from ..layers.top_snippets import top_snippets
from .snippet_detector import SnippetDetector

ROWS = 1024  # snippets per part of a relation, in long videos


@MODELS.register_module()
class HLNet(SnippetDetector):
    """HL-Net: three graphs over the snippets of a video, and a score that looks only at the past.

    Wu et al., "Not only Look, but also Listen: Learning Multimodal Violence Detection under Weak Supervision", ECCV
    2020, arXiv:2007.04687, the baseline of XD-Violence. Authors' code: https://github.com/Roc-Ng/XDVioDet. The input is
    the concatenation of picture and sound features, 1024 of I3D and 128 of VGGish.

    ::

        features (b, t, d) -> two layers -> x (b, t, e) -> causal layers -> online logits (b, t)
                                             |
              holistic: similarity of features -> two graph layers \
              localized: nearness in time      -> two graph layers  + -> concatenated -> linear -> logits (b, t)
              score: closeness of online scores -> two graph layers /

    ``loss_mil`` and ``loss_online`` are cross-entropies of the mean of the highest logits of a video, ``loss_distill``
    brings the online scores to the others where these are high. The row sums of the localized relation are not 1, as in
    the authors' code.

    In the authors' code, the padding of short training videos takes part in the localized relation and in the
    convolutions. Here it is masked, so results do not depend on the rest of the batch. Without padding, both codes
    agree; see docs/parity.md.

    Args:
        feature_dim (int): Feature channels d, those of sound included.
        hidden_dims (tuple[int, int]): Units of the two layers; the second is e.
        graph_dim (int): Channels g of each graph layer.
        dropout (float): Dropout rate, 0..1.
        similarity (float): Cosine of features from which on snippets are related, -1..1.
        distill_weight (float): Factor of ``loss_distill``.
        online (bool): Whether tests return the online scores. Each depends only on its own snippet and the four before
            it.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.
    """

    attends_to_all = True
    public_layouts = ('https://github.com/Roc-Ng/XDVioDet',)
    public_rules: ClassVar = {
        'conv1d_approximator.weight': {
            'conv1d1': 'fc1',
            'conv1d2': 'fc2',
            r'approximator\.([02])': r'causal.\1',
            'conv1d_approximator': 'online_head',
            'gc1': 'holistic.0',
            'gc2': 'holistic.1',
            'gc3': 'localized.0',
            'gc4': 'localized.1',
            'gc5': 'by_score.0',
            'gc6': 'by_score.1',
            r'gc1\.residual': 'holistic.0.residual',
            r'gc3\.residual': 'localized.0.residual',
            r'gc5\.residual': 'by_score.0.residual',
            'classifier': 'classifier',
            # The authors' forward pass uses none of these.
            r'conv1d[34]': None,
            r'simAdj\.weight[01]': None,
            r'disAdj\.sigma': None,
        },
    }

    def __init__(
        self,
        feature_dim: int = 1152,
        hidden_dims: tuple[int, int] = (512, 128),
        graph_dim: int = 32,
        dropout: float = 0.6,
        similarity: float = 0.7,
        distill_weight: float = 5.0,
        online: bool = False,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        hidden, dim = hidden_dims
        self.fc1 = nn.Conv1d(feature_dim, hidden, 1)
        self.fc2 = nn.Conv1d(hidden, dim, 1)
        self.causal = nn.Sequential(nn.Conv1d(dim, dim // 2, 1), nn.ReLU(), nn.Conv1d(dim // 2, dim // 4, 1), nn.ReLU())
        self.online_head = nn.Conv1d(dim // 4, 1, 5)
        self.holistic, self.localized, self.by_score = (
            nn.ModuleList([GraphLayer(dim, graph_dim), GraphLayer(graph_dim, graph_dim)]) for _ in range(3)
        )
        self.classifier = nn.Linear(3 * graph_dim, 1)
        self.dropout = nn.Dropout(dropout)
        self.similarity = similarity
        self.distill_weight = distill_weight
        self.online = online
        for module in self.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`. Each crop is a video of its own.

        Returns:
            dict[str, Tensor]: loss_mil, loss_online and loss_distill.
        """
        crops = feats_bctd.shape[1]
        mask_bt = mask_bt.repeat_interleave(crops, 0)
        target_b = (self.labels_of(data_samples) != 0).float().repeat_interleave(crops)
        logits_bt, online_bt = (logits.float() for logits in self._run(feats_bctd.flatten(0, 1), mask_bt))

        def of_videos(logits_bt: Tensor) -> Tensor:
            video_b = (top_snippets(logits_bt, mask_bt) * logits_bt).sum(1)
            return F.binary_cross_entropy_with_logits(video_b, target_b)

        terms_bt = -logits_bt.detach().sigmoid() * F.logsigmoid(online_bt)
        distances_b = terms_bt.masked_fill(~mask_bt, 0.0).sum(1) / mask_bt.sum(1)
        return {
            'loss_mil': of_videos(logits_bt),
            'loss_online': of_videos(online_bt),
            'loss_distill': self.distill_weight * distances_b.mean(),
        }

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores and logits of snippets; see :meth:`SnippetDetector.score`."""
        logits_bt = self._run(feats_btd, mask_bt)[int(self.online)].float()
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt}

    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and online logits of snippets, shape (b, t) each."""
        x_bet = self.dropout(self.fc1(feats_btd.transpose(1, 2)).relu())
        x_bet = self.dropout(self.fc2(x_bet).relu()) * mask_bt[:, None]
        online_bt = self.online_head(F.pad(self.causal(x_bet), (4, 0)))[:, 0]

        similar_btd = F.normalize(feats_btd.float(), dim=-1)
        scores_bt = online_bt.detach().float().sigmoid()

        def by_features(rows: slice) -> Tensor:
            return F.threshold(similar_btd[:, rows] @ similar_btd.mT, self.similarity, 0.0)

        def by_scores(rows: slice) -> Tensor:
            closeness = 1 - (scores_bt[:, rows, None] - scores_bt[:, None]).abs()
            return ((closeness - 0.5) / 0.1).sigmoid()

        branches = (
            (self.holistic, relation(by_features, mask_bt)),
            (self.localized, lambda values: sum_nearby(values * mask_bt[..., None])),
            (self.by_score, relation(by_scores, mask_bt)),
        )
        parts = [x_bet.transpose(1, 2)] * 3
        for depth in range(2):
            parts = [
                self.dropout(layers[depth](part, relate).relu())
                for part, (layers, relate) in zip(parts, branches, strict=True)
            ]
        return self.classifier(torch.cat(parts, 2))[..., 0], online_bt


def relation(weigh: Callable[[slice], Tensor], mask_bt: Tensor) -> Callable[[Tensor], Tensor]:
    """The product with a softmax of weights between snippets, as a function of values, shape (b, t, g) to the same.

    The weights of long videos are computed again in each use, 1024 rows at a time: the memory grows linearly with the
    length.

    Args:
        weigh (Callable): From a slice of snippets to their weights for all, before the softmax, shape (b, rows, t).
        mask_bt (Tensor): True at real snippets, bool, shape (b, t).
    """
    length = mask_bt.shape[1]

    def weights(rows: slice) -> Tensor:
        return weigh(rows).masked_fill(~mask_bt[:, None], float('-inf')).softmax(-1)

    if torch.compiler.is_exporting() or length <= ROWS:
        whole = weights(slice(None))
        return lambda values: whole.to(values.dtype) @ values
    parts = [slice(start, start + ROWS) for start in range(0, length, ROWS)]
    return lambda values: torch.cat([weights(rows).to(values.dtype) @ values for rows in parts], 1)


class GraphLayer(nn.Module):
    """Graph convolution: a linear layer of the related snippets, and a residual of the snippet itself.

    Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, arXiv:1609.02907.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output. If they differ, the residual is a convolution over five snippets.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        nn.init.xavier_uniform_(self.weight)
        self.residual = nn.Conv1d(in_channels, out_channels, 5, padding=2) if in_channels != out_channels else None

    def forward(self, x_bte: Tensor, relate: Callable[[Tensor], Tensor]) -> Tensor:
        """Shape (b, t, in_channels) to (b, t, out_channels), with a function that sums over related snippets."""
        residual = x_bte if self.residual is None else self.residual(x_bte.transpose(1, 2)).transpose(1, 2)
        return relate(x_bte @ self.weight) + residual
