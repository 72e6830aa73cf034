# Shapes: b videos (or videos x crops), c crops, t snippets, d feature channels, e embedding channels, h heads of f
# channels, k memory slots, n pairs of a normal and an abnormal video.
import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample

from ..layers.top_snippets import top_snippets
from ..losses.probability_bce import probability_bce
from .snippet_detector import SnippetDetector

ROWS, REACH = 1024, 64  # snippets; how local attention is taken over long videos


@MODELS.register_module()
class URDMU(SnippetDetector):
    """A memory of normal and one of abnormal snippets, and a normality that is learned under noise.

    Zhou, Yu and Yang, "Dual Memory Units with Uncertainty Regulation for Weakly Supervised Video Anomaly Detection",
    AAAI 2023, arXiv:2302.05160. Authors' code: https://github.com/henrryzh1/UR-DMU.

    ::

        features -> conv over t -> transformer (global + local attention) -> x (b, t, e)
                                                                             |
                x -> normal memory   -> how like a normal snippet (b, t), what it reads -> mean \
                x -> abnormal memory -> how like an abnormal one  (b, t), what it reads -> mean  + -> [x | sum] -> score
                     in training, what normal videos read of the normal memory is blurred: mean + std * noise

    Followed is the code that gave the published numbers, also where it is not what one expects:

    - The KL term adds up over the snippets of a video and averages over the channels; the divergence of a Gaussian
      with independent channels would add up over these.
    - The weights of the local attention are divided by the sums of their columns, not of their rows, so that the
      first and last snippets of a video get rows that do not sum to 1.
    - In ``loss_triplet`` both the "positive" and the "negative" snippets come from the abnormal video: those that are
      most like the normal memory, and those most like the abnormal one.

    Their batches hold videos of one length; here attention, top-k and every mean take real snippets only, so that what
    a video is batched with changes nothing. Both codes agree where there is no padding: see docs/parity.md.

    Args:
        feature_dim (int): Channels d of the features.
        embed_dim (int): Channels e.
        layers (int): Transformer layers.
        heads (int): Attention heads.
        head_dim (int): Channels f of a head.
        mlp_dim (int): Hidden channels of the transformer's MLPs.
        memory_slots (int): Slots k of each memory.
        dropout (float): In the transformer, 0..1.
        margin (float): Of the triplet loss.
        min_distance (float): By how much the length of an abnormal video's latent should exceed a normal one's.
        memory_weight (float): Of the four memory losses.
        triplet_weight (float): Of the triplet loss.
        kl_weight (float): Of the divergence of the normal latent from a standard normal one.
        distance_weight (float): Of the distance loss.
        snippet_len (int): Frames a snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.
    """

    public_layouts = ('https://github.com/henrryzh1/UR-DMU',)
    public_rules: ClassVar = {
        'Amemory.memory_block': {
            r'embedding\.conv_1\.0': 'embedding',
            r'selfatt\.layers\.(\d+)\.0\.norm': r'blocks.\1.norm1',
            r'selfatt\.layers\.(\d+)\.0\.fn\.to_qkv': r'blocks.\1.qkvl',
            r'selfatt\.layers\.(\d+)\.0\.fn\.to_out\.0': r'blocks.\1.out',
            r'selfatt\.layers\.(\d+)\.1\.norm': r'blocks.\1.norm2',
            r'selfatt\.layers\.(\d+)\.1\.fn\.net\.(\d)': r'blocks.\1.mlp.\2',
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
        """Features to embeddings that know their surroundings and the whole video, shape (b, t, e)."""
        # The convolution sees one snippet past the end: padding must be what its own padding would be.
        feats_bdt = (feats_btd * mask_bt[..., None]).transpose(1, 2)
        x_bte = self.embedding(feats_bdt).relu().transpose(1, 2)
        for block in self.blocks:
            x_bte = block(x_bte, mask_bt)
        return x_bte

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Without noise, see :meth:`SnippetDetector.score`."""
        x_bte = self.embed(feats_btd, mask_bt)
        _, from_normal = self.normal_memory(x_bte)
        _, from_abnormal = self.abnormal_memory(x_bte)
        latent_bte = self.latent_mean(from_abnormal) + self.latent_mean(from_normal)
        logits_bt = self.classifier(torch.cat([x_bte, latent_bte], dim=-1)).squeeze(-1)
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt}

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms, each times its weight.

        The i-th normal and the i-th abnormal video of the batch make a pair. Scores and memory hits are averaged over
        crops before snippets are chosen by them, embeddings after.

        Returns:
            dict[str, Tensor]: loss_score: cross-entropy of the mean of the highest scores with the video's label.
            loss_memory_normal, loss_memory_quiet: every snippet of a normal video is in the normal, and none in the
            abnormal memory. loss_memory_abnormal, loss_memory_missing: some of an abnormal video are in the abnormal
            memory, and some not in the normal one. loss_triplet: the most normal snippets of normal videos are nearer
            to the most normal than to the most abnormal ones of abnormal videos. loss_kl: the normal latent is a
            standard normal one. loss_distance: abnormal latents are longer than normal ones.

        Raises:
            ConfigError: Not as many normal as abnormal videos.
        """
        normal, abnormal = self.split(data_samples, equal=True)
        order = torch.cat([normal, abnormal])
        num_pairs, crops = len(normal), feats_bctd.shape[1]
        mask_bt = mask_bt[order]
        mask_of_rows = mask_bt.repeat_interleave(crops, 0)
        x_bte = self.embed(feats_bctd[order].flatten(0, 1), mask_of_rows)

        like_normal, from_normal = self.normal_memory(x_bte)
        like_abnormal, from_abnormal = self.abnormal_memory(x_bte)
        rows = num_pairs * crops  # the normal videos' come first

        # Normality under noise: only what normal videos read of the normal memory is blurred.
        mean_normal, mean_abnormal = self.latent_mean(from_normal), self.latent_mean(from_abnormal)
        log_var_nte = self.latent_log_var(from_normal[:rows])
        noisy_nte = mean_normal[:rows] + (0.5 * log_var_nte).exp() * torch.randn_like(log_var_nte)
        latent_bte = torch.cat([noisy_nte, mean_normal[rows:]]) + mean_abnormal

        logits_bt = self.classifier(torch.cat([x_bte, latent_bte], dim=-1)).squeeze(-1)
        scores_bt = _mean_over_crops(logits_bt.sigmoid(), crops)
        labels_b = (torch.arange(2 * num_pairs, device=scores_bt.device) >= num_pairs).float()

        # Snippets chosen in each crop by what the memories say of them.
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
    """Learned slots that snippets are compared with, and read from as far as they are alike.

    Args:
        slots (int): Number of slots k.
        dim (int): Channels e.
    """

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.empty(slots, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, x_bte: Tensor) -> tuple[Tensor, Tensor]:
        """Snippets' likeness to the memory and what they read of it.

        Args:
            x_bte (Tensor): Embeddings, shape (b, t, e).

        Returns:
            tuple: The mean of a snippet's k // 16 + 1 highest likenesses to a slot, 0..1, shape (b, t); the sum of all
            slots, each times its likeness, shape (b, t, e).
        """
        slots, dim = self.slots.shape
        like_btk = (x_bte @ self.slots.T * dim**-0.5).sigmoid()
        return like_btk.topk(slots // 16 + 1, dim=-1).values.mean(-1), like_btk @ self.slots


class GlobalLocalBlock(nn.Module):
    """Pre-norm transformer layer whose heads look at the whole video by content and around each snippet by distance.

    Args:
        dim (int): Channels e.
        heads (int): Heads h.
        head_dim (int): Channels f of a head.
        mlp_dim (int): Hidden channels of the MLP.
        dropout (float): 0..1.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        # Query, key and value of the global attention, and the value of the local one, whose weights are fixed.
        self.qkvl = nn.Linear(dim, 4 * heads * head_dim, bias=False)
        self.out = nn.Linear(2 * heads * head_dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_dim, dim), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_bte: Tensor, mask_bt: Tensor) -> Tensor:
        """Shape (b, t, e) to (b, t, e); real snippets see real ones only."""
        x_bte = x_bte + self.dropout(self.out(self._attend(self.norm1(x_bte), mask_bt)))
        return x_bte + self.mlp(self.norm2(x_bte))

    def _attend(self, x_bte: Tensor, mask_bt: Tensor) -> Tensor:
        query, key, value, local = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkvl(x_bte).chunk(4, dim=-1)
        )
        by_content = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_bt[:, None, None])
        real_bt1 = mask_bt[..., None].to(local.dtype)
        # Weights of column j divided by their sum: the same as values divided by it. The weights are symmetric.
        by_distance = sum_nearby(local * (real_bt1 / sum_nearby(real_bt1))[:, None])
        return torch.cat([by_content, by_distance], dim=-1).transpose(1, 2).flatten(2)


def sum_nearby(values: Tensor) -> Tensor:
    """For each snippet i the sum over all j of exp(-|i - j| / e) times the value of j.

    In parts of 1024 snippets, and for longer videos without those more than 64 away from a part, whose weights are
    below 1e-10: memory grows with the length, not with its square.

    Args:
        values (Tensor): Shape (..., t, channels).

    Returns:
        Tensor: Of the same shape.
    """
    length = values.shape[-2]
    steps = torch.arange(length, device=values.device, dtype=torch.float32)
    sums = []
    for start in range(0, length, ROWS):
        seen = slice(max(start - REACH, 0), start + ROWS + REACH)
        weights = (-(steps[start : start + ROWS, None] - steps[seen]).abs() / math.e).exp()
        sums.append(weights.to(values.dtype) @ values[..., seen, :])
    return torch.cat(sums, dim=-2)


def _mean_over_crops(values: Tensor, crops: int) -> Tensor:
    return values.unflatten(0, (-1, crops)).mean(1)


def _mean_of_top(scores_bt: Tensor, mask_bt: Tensor) -> Tensor:
    return (top_snippets(scores_bt, mask_bt) * scores_bt).sum(1)


def _latent_kl(mean_nte: Tensor, log_var_nte: Tensor, mask_nt: Tensor) -> Tensor:
    """Divergence from the standard normal: summed over real snippets, mean over videos, crops and channels."""
    terms_nte = -0.5 * (1 + log_var_nte - mean_nte**2 - log_var_nte.exp())
    return (terms_nte * mask_nt[..., None]).sum(1).mean()
