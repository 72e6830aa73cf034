# Shapes: b videos (or videos x crops), c crops, t snippets, d feature channels, e embedding channels, k memory
# slots, n pairs of a normal and an abnormal video.
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample

from ..checkpoints.global_local_layout import GLOBAL_LOCAL_RULES
from ..layers.global_local_block import GlobalLocalBlock
from ..layers.top_snippets import top_snippets
from ..losses.probability_bce import probability_bce
from .snippet_detector import SnippetDetector


@MODELS.register_module()
class URDMU(SnippetDetector):
    """UR-DMU: a memory of normal and one of abnormal snippets, and a normal latent trained with noise.

    Zhou, Yu and Yang, "Dual Memory Units with Uncertainty Regulation for Weakly Supervised Video Anomaly Detection",
    AAAI 2023, arXiv:2302.05160. Authors' code: https://github.com/henrryzh1/UR-DMU.

    ::

        features -> conv over t -> transformer (global + local attention) -> x (b, t, e)
                                                                             |
                x -> normal memory   -> similarity to normal   (b, t), read vector    -> mean \
                x -> abnormal memory -> similarity to abnormal (b, t), read vector    -> mean  + -> [x | sum] -> score
                     in training, noise is added to what normal videos read from the normal memory: mean + std * noise

    We follow the authors' code, which gave the published numbers, also in these details:

    - The KL term is summed over the snippets of a video and averaged over the channels; for a Gaussian with independent
      channels, it would be summed over the channels.
    - The weights of local attention are divided by column sums, not row sums, so the rows of the first and last
      snippets of a video do not sum to 1.
    - In ``loss_triplet``, both the "positive" and the "negative" snippets come from the abnormal video: those most
      similar to the normal memory and those most similar to the abnormal one.

    Their batches have videos of one length. Here attention, top-k and all means use real snippets only, so results do
    not depend on the rest of the batch. Without padding, both codes agree; see docs/parity.md.

    Args:
        feature_dim (int): Channels d of the features.
        embed_dim (int): Channels e.
        layers (int): Transformer layers.
        heads (int): Attention heads.
        head_dim (int): Channels f of a head.
        mlp_dim (int): Hidden channels of the transformer's MLPs.
        memory_slots (int): Slots k of each memory.
        dropout (float): Dropout in the transformer, 0..1.
        margin (float): Margin of the triplet loss.
        min_distance (float): Target difference between the norms of abnormal and normal latents.
        memory_weight (float): Factor of the four memory losses.
        triplet_weight (float): Factor of the triplet loss.
        kl_weight (float): Factor of the KL divergence of the normal latent from a standard normal distribution.
        distance_weight (float): Factor of the distance loss.
        snippet_len (int): Frames per snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.
    """

    attends_to_all = True
    public_layouts = ('https://github.com/henrryzh1/UR-DMU',)
    public_rules: ClassVar = {
        'Amemory.memory_block': {
            **GLOBAL_LOCAL_RULES,
            r'Amemory\.memory_block': 'abnormal_memory.slots',
            r'Nmemory\.memory_block': 'normal_memory.slots',
            r'encoder_mu\.0': 'latent_mean',
            r'encoder_var\.0': 'latent_log_var',
            r'cls_head\.mlp\.(\d)': r'classifier.\1',
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
        memory_slots: int = 60,
        dropout: float = 0.5,
        margin: float = 1.0,
        min_distance: float = 100.0,
        memory_weight: float = 0.1,
        triplet_weight: float = 0.1,
        kl_weight: float = 0.001,
        distance_weight: float = 0.0001,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len=snippet_len, data_preprocessor=data_preprocessor)
        self.embedding = nn.Conv1d(feature_dim, embed_dim, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(
            GlobalLocalBlock(embed_dim, heads, head_dim, mlp_dim, dropout) for _ in range(layers)
        )
        self.normal_memory = MemoryUnit(memory_slots, embed_dim)
        self.abnormal_memory = MemoryUnit(memory_slots, embed_dim)
        self.latent_mean = nn.Linear(embed_dim, embed_dim)
        self.latent_log_var = nn.Linear(embed_dim, embed_dim)
        self.classifier = nn.Sequential(nn.Linear(2 * embed_dim, 128), nn.ReLU(), nn.Linear(128, 1))
        self.margin = margin
        self.min_distance = min_distance
        self.memory_weight = memory_weight
        self.triplet_weight = triplet_weight
        self.kl_weight = kl_weight
        self.distance_weight = distance_weight

    def embed(self, feats_btd: Tensor, mask_bt: Tensor) -> Tensor:
        """Embeddings with local and global temporal context, shape (b, t, e)."""
        # The convolution reads one snippet past the end, so padding must be zero, like the convolution's own.
        feats_bdt = (feats_btd * mask_bt[..., None]).transpose(1, 2)
        x_bte = self.embedding(feats_bdt).relu().transpose(1, 2)
        for block in self.blocks:
            x_bte = block(x_bte, mask_bt)
        return x_bte

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores without noise; see :meth:`SnippetDetector.score`."""
        x_bte = self.embed(feats_btd, mask_bt)
        _, from_normal = self.normal_memory(x_bte)
        _, from_abnormal = self.abnormal_memory(x_bte)
        latent_bte = self.latent_mean(from_abnormal) + self.latent_mean(from_normal)
        logits_bt = self.classifier(torch.cat([x_bte, latent_bte], dim=-1)).squeeze(-1)
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt}

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Weighted loss terms.

        The i-th normal and the i-th abnormal video of the batch are a pair. Scores and memory similarities are averaged
        over crops before snippets are chosen, embeddings afterwards.

        Returns:
            dict[str, Tensor]: loss_score: cross-entropy of the mean of the highest scores with the video's label.
            loss_memory_normal, loss_memory_quiet: all snippets of a normal video match the normal memory, and none the
            abnormal one. loss_memory_abnormal, loss_memory_missing: some snippets of an abnormal video match the
            abnormal memory, and some do not match the normal one. loss_triplet: the most normal snippets of normal
            videos are nearer to the most normal than to the most abnormal snippets of abnormal videos. loss_kl: the
            normal latent has a standard normal distribution. loss_distance: abnormal latents have larger norms than
            normal ones.

        Raises:
            ConfigError: The numbers of normal and abnormal videos differ.
        """
        normal, abnormal = self.split(data_samples, equal=True)
        order = torch.cat([normal, abnormal])
        num_pairs, crops = len(normal), feats_bctd.shape[1]
        mask_bt = mask_bt[order]
        mask_of_rows = mask_bt.repeat_interleave(crops, 0)
        x_bte = self.embed(feats_bctd[order].flatten(0, 1), mask_of_rows)

        like_normal, from_normal = self.normal_memory(x_bte)
        like_abnormal, from_abnormal = self.abnormal_memory(x_bte)
        rows = num_pairs * crops  # rows of normal videos come first

        # Noise is added only to what normal videos read from the normal memory.
        mean_normal, mean_abnormal = self.latent_mean(from_normal), self.latent_mean(from_abnormal)
        log_var_nte = self.latent_log_var(from_normal[:rows])
        noisy_nte = mean_normal[:rows] + (0.5 * log_var_nte).exp() * torch.randn_like(log_var_nte)
        latent_bte = torch.cat([noisy_nte, mean_normal[rows:]]) + mean_abnormal

        logits_bt = self.classifier(torch.cat([x_bte, latent_bte], dim=-1)).squeeze(-1)
        scores_bt = _mean_over_crops(logits_bt.sigmoid(), crops)
        labels_b = (torch.arange(2 * num_pairs, device=scores_bt.device) >= num_pairs).float()

        # Snippets are chosen in each crop by their similarities to the memories.
        anchor = top_snippets(like_normal[:rows], mask_of_rows[:rows])
        positive = top_snippets(like_normal[rows:], mask_of_rows[rows:])
        negative = top_snippets(like_abnormal[rows:], mask_of_rows[rows:])

        def chosen(values_nte: Tensor, weights_nt: Tensor) -> Tensor:
            return _mean_over_crops(torch.einsum('nt,nte->ne', weights_nt, values_nte), crops)

        loss_triplet = F.triplet_margin_loss(
            F.normalize(chosen(x_bte[:rows], anchor), dim=-1),
            F.normalize(chosen(x_bte[rows:], positive), dim=-1),
            F.normalize(chosen(x_bte[rows:], negative), dim=-1),
            margin=self.margin,
        )
        normal_length = chosen(noisy_nte, anchor).norm(dim=-1)
        abnormal_length = chosen(mean_abnormal[rows:], negative).norm(dim=-1)
        loss_distance = (self.min_distance - abnormal_length + normal_length).relu().mean()

        like_normal, like_abnormal = (_mean_over_crops(x, crops) for x in (like_normal, like_abnormal))
        mask_nt, mask_at = mask_bt[:num_pairs], mask_bt[num_pairs:]
        return {
            'loss_score': probability_bce(_mean_of_top(scores_bt, mask_bt), labels_b),
            'loss_memory_normal': self.memory_weight * probability_bce(like_normal[:num_pairs], 1.0, mask_nt),
            'loss_memory_quiet': self.memory_weight * probability_bce(like_abnormal[:num_pairs], 0.0, mask_nt),
            'loss_memory_abnormal': self.memory_weight
            * probability_bce(_mean_of_top(like_abnormal[num_pairs:], mask_at), 1.0),
            'loss_memory_missing': self.memory_weight
            * probability_bce(_mean_of_top(1 - like_normal[num_pairs:], mask_at), 1.0),
            'loss_triplet': self.triplet_weight * loss_triplet,
            'loss_kl': self.kl_weight * _latent_kl(mean_normal[:rows], log_var_nte, mask_of_rows[:rows]),
            'loss_distance': self.distance_weight * loss_distance,
        }


class MemoryUnit(nn.Module):
    """Memory of learnt slots; snippets read from it, weighted by their similarity to the slots.

    Args:
        slots (int): Number of slots k.
        dim (int): Channels e.
    """

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.empty(slots, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, x_bte: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity of snippets to the memory, and the vectors that they read from it.

        Args:
            x_bte (Tensor): Embeddings, shape (b, t, e).

        Returns:
            tuple: Mean of the k // 16 + 1 highest similarities of a snippet to the slots, 0..1, shape (b, t); and the
            sum of all slots, weighted by their similarities, shape (b, t, e).
        """
        slots, dim = self.slots.shape
        like_btk = (x_bte @ self.slots.T * dim**-0.5).sigmoid()
        return like_btk.topk(slots // 16 + 1, dim=-1).values.mean(-1), like_btk @ self.slots


def _mean_over_crops(values: Tensor, crops: int) -> Tensor:
    return values.unflatten(0, (-1, crops)).mean(1)


def _mean_of_top(scores_bt: Tensor, mask_bt: Tensor) -> Tensor:
    return (top_snippets(scores_bt, mask_bt) * scores_bt).sum(1)


def _latent_kl(mean_nte: Tensor, log_var_nte: Tensor, mask_nt: Tensor) -> Tensor:
    """KL divergence from the standard normal: summed over real snippets, mean over videos, crops and channels."""
    terms_nte = -0.5 * (1 + log_var_nte - mean_nte**2 - log_var_nte.exp())
    return (terms_nte * mask_nt[..., None]).sum(1).mean()
