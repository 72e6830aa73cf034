# Shapes: b videos (or videos x crops), n normal or abnormal videos, c crops, t snippets, d feature channels, e
# embedding channels, h channels of a hidden layer.
from typing import ClassVar

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.global_local_layout import GLOBAL_LOCAL_RULES
from ..layers.global_local_block import GlobalLocalBlock
from .snippet_detector import SnippetDetector


@MODELS.register_module()
class BNWVAD(SnippetDetector):
    """BN-WVAD: abnormal snippets are far from the mean vectors of batch norms.

    Zhou et al., "BatchNorm-based Weakly Supervised Video Anomaly Detection", 2023, arXiv:2311.15367. Authors' code:
    https://github.com/cool-xuan/BN-WVAD.

    ::

        features -> conv over t -> transformer (global + local attention) -> h1 -> BN, ReLU -> h2 -> BN, ReLU -> score s
                                                                              |                 |
                             distance to the running mean, divided by the running deviation: d1, d2
        anomaly of a snippet: (d1 + d2) * s, unbounded

    ``loss_normal`` is the norm of the scores of normal videos. ``loss_mpp`` is a triplet loss for each hidden layer:
    the mean vector is nearer to snippets of normal videos than to those of abnormal videos. It takes the abnormal
    snippets with the largest distances of each video and of the batch, and as many normal snippets with the largest
    distances.

    We follow the authors' code, which gave the published numbers. The scores of abnormal videos have no loss of their
    own. The running statistics of a step contain the step itself.

    Batch statistics contain padding, if there is any; the configs resample all videos to the same length.

    Args:
        feature_dim (int): Feature channels d.
        embed_dim (int): Channels e.
        layers (int): Transformer layers.
        heads (int): Attention heads.
        head_dim (int): Channels of a head.
        mlp_dim (int): Hidden channels of the transformer's MLPs.
        hidden_dims (tuple[int, int]): Channels of the two hidden layers.
        dropout (float): Dropout in the transformer, 0..1.
        video_ratio (float): Share of the snippets of an abnormal video that are chosen in any case, 0..1.
        batch_ratio (float): Share of all abnormal snippets of a batch that are chosen in any case, 0..1.
        margin (float): Margin of the triplet losses.
        triplet_weights (tuple[float, float]): Factor of the triplet loss of each hidden layer.
        normal_weight (float): Factor of ``loss_normal``.
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: A ratio is not in 0..1.
    """

    attends_to_all = True
    public_layouts = ('https://github.com/cool-xuan/BN-WVAD',)
    public_rules: ClassVar = {
        'normal_head.bn1.running_mean': {
            **GLOBAL_LOCAL_RULES,
            r'normal_head\.conv([12])': r'hidden\1',
            r'normal_head\.bn([12])': r'norm\1',
            r'normal_head\.conv3': 'classifier',
        },
    }

    def __init__(
        self,
        feature_dim: int = 1024,
        embed_dim: int = 512,
        layers: int = 2,
        heads: int = 4,
        head_dim: int = 128,
        mlp_dim: int = 512,
        hidden_dims: tuple[int, int] = (32, 16),
        dropout: float = 0.0,
        video_ratio: float = 0.2,
        batch_ratio: float = 0.4,
        margin: float = 1.0,
        triplet_weights: tuple[float, float] = (5.0, 20.0),
        normal_weight: float = 1.0,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if not (0 <= video_ratio <= 1 and 0 <= batch_ratio <= 1):
            raise ConfigError(f'BNWVAD: video_ratio={video_ratio} and batch_ratio={batch_ratio} must be in 0..1.')
        self.embedding = nn.Conv1d(feature_dim, embed_dim, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(
            GlobalLocalBlock(embed_dim, heads, head_dim, mlp_dim, dropout) for _ in range(layers)
        )
        self.hidden1 = nn.Conv1d(embed_dim, hidden_dims[0], 1)
        self.norm1 = nn.BatchNorm1d(hidden_dims[0])
        self.hidden2 = nn.Conv1d(hidden_dims[0], hidden_dims[1], 1)
        self.norm2 = nn.BatchNorm1d(hidden_dims[1])
        self.classifier = nn.Conv1d(hidden_dims[1], 1, 1)
        self.video_ratio = video_ratio
        self.batch_ratio = batch_ratio
        self.margin = margin
        self.triplet_weights = triplet_weights
        self.normal_weight = normal_weight

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; see :meth:`SnippetDetector.loss`. Scores, distances and hidden layers are means over crops.

        Returns:
            dict[str, Tensor]: loss_normal and loss_mpp.

        Raises:
            ConfigError: The numbers of normal and abnormal videos differ.
        """
        normal, abnormal = self.split(data_samples, equal=True)
        crops = feats_bctd.shape[1]
        hidden, logits_bt = self._run(feats_bctd.flatten(0, 1), mask_bt.repeat_interleave(crops, 0))

        def of_videos(values: Tensor) -> Tensor:
            return values.float().unflatten(0, (-1, crops)).mean(1)

        loss_mpp = logits_bt.new_zeros(())
        for h_bht, norm, weight in zip(hidden, (self.norm1, self.norm2), self.triplet_weights, strict=True):
            distances_bt = of_videos(_distances(h_bht, norm))
            # The distance of a mean over crops is not the mean of the distances, which choose the snippets.
            triplet_bt = _distances(of_videos(h_bht), norm) if crops > 1 else distances_bt
            far = self._choose_abnormal(distances_bt[abnormal], mask_bt[abnormal])
            from_abnormal = triplet_bt[abnormal][far]
            from_normal = self._choose_normal(
                distances_bt[normal], triplet_bt[normal], mask_bt[normal], len(from_abnormal)
            )
            pairs = min(len(from_normal), len(from_abnormal))
            terms = (self.margin + from_normal[:pairs] - from_abnormal[:pairs]).relu()
            loss_mpp = loss_mpp + weight * terms.mean()

        scores_nt = of_videos(logits_bt.sigmoid())[normal].masked_fill(~mask_bt[normal], 0.0)
        return {'loss_normal': self.normal_weight * scores_nt.norm(dim=1).mean(), 'loss_mpp': loss_mpp}

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Anomalies of snippets as odds; see :meth:`SnippetDetector.score`."""
        hidden, logits_bt = self._run(feats_btd, mask_bt)
        distances = [_distances(h_bht, norm) for h_bht, norm in zip(hidden, (self.norm1, self.norm2), strict=True)]
        odds_bt = sum(distances) * logits_bt.float().sigmoid()
        return {'scores': odds_bt / (1 + odds_bt), 'odds': odds_bt}

    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Hidden layers before their norms, shape (b, h, t) each, and logits, shape (b, t)."""
        x_bte = self.embedding((feats_btd * mask_bt[..., None]).transpose(1, 2)).relu().transpose(1, 2)
        for block in self.blocks:
            x_bte = block(x_bte, mask_bt)
        first = self.hidden1(x_bte.transpose(1, 2))
        second = self.hidden2(self.norm1(first).relu())
        return (first, second), self.classifier(self.norm2(second).relu())[:, 0]

    def _choose_abnormal(self, distances_nt: Tensor, mask_nt: Tensor) -> Tensor:
        """The snippets with the largest distances of each video and of all videos, at least one each, bool, (n, t)."""
        distances_nt = distances_nt.detach().masked_fill(~mask_nt, float('-inf'))
        lengths_n = mask_nt.sum(1)
        numbers_n = (lengths_n.double() * self.video_ratio).long().clamp_min(1)
        number = max(int(int(lengths_n.sum()) * self.batch_ratio), 1)
        of_video = distances_nt.argsort(1, descending=True).argsort(1) < numbers_n[:, None]
        of_batch = torch.zeros_like(mask_nt).flatten()
        of_batch[distances_nt.flatten().topk(number).indices] = True
        return of_video | of_batch.view_as(mask_nt)

    @staticmethod
    def _choose_normal(distances_nt: Tensor, values_nt: Tensor, mask_nt: Tensor, number: int) -> Tensor:
        """Values of the snippets with the largest distances: the first of every video, then the second, ..."""
        most = min(number // len(mask_nt) + 1, mask_nt.shape[1])
        places_nk = distances_nt.detach().masked_fill(~mask_nt, float('-inf')).topk(most, dim=1).indices
        real_nk = torch.arange(most, device=mask_nt.device) < mask_nt.sum(1, keepdim=True)
        return values_nt.gather(1, places_nk).T[real_nk.T][:number]


def _distances(h_bht: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Distance of each snippet to the running mean in running standard deviations, float32, shape (b, t)."""
    if norm.running_mean is None or norm.running_var is None:
        raise RuntimeError('BNWVAD: its batch norms keep no running statistics.')
    # Copies: the next step changes the buffers in place, perhaps before the gradients of this one are computed.
    mean_h1, var_h1 = norm.running_mean.clone()[:, None], norm.running_var.clone()[:, None]
    return ((h_bht.float() - mean_h1) ** 2 / var_h1).sum(1).sqrt()
