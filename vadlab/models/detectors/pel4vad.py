# Shapes: b videos (times crops), t snippets, d feature channels, h attention channels, e embedding channels of the
# prompts, k classes (0 is Normal), n pooled features of a batch.
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError

from ..checkpoints.concept_prompts import read_concept_features
from ..checkpoints.pel4vad_layout import from_pel4vad
from ..layers.top_snippets import top_snippets
from ..losses.probability_bce import probability_bce
from .snippet_detector import SnippetDetector

# From the authors' code: factor of the scores in pooling, and of the alignment's target.
POOLING_SHARPNESS = 10.0
TARGET_SHARPNESS = 10.0
SEVERAL_CLASSES = ('first', 'mean')


@MODELS.register_module()
class PEL4VAD(SnippetDetector):
    r"""PEL4VAD: temporal context from one attention map, and snippet features aligned with text features of classes.

    Pu, Wu, Yang and Wang, "Learning Prompt-Enhanced Context Features for Weakly-Supervised Video Anomaly Detection",
    IEEE TIP 2024, arXiv:2306.14451; authors' code: github.com/yujiangpu20/PEL4VAD.

    ::

        features (b, t, d) -- context: global and local attention -- + -- norm -- MLP --> embeddings (b, t, e)
                  \_____________________________________________/                         |           |
                                                                             MLP, causal convolution   |
                                                                                           |           |
          loss_mil <-- mean of the highest -------------------------------------- scores (b, t)        |
          loss_align <-- contrast with prompt features (k, e) <-- means over abnormal and normal snippets

    We follow the authors' code, which gave the published numbers, except for the number of heads and of embedding
    channels; see docs/parity.md.

    Args:
        feature_dim (int): Channels D of the snippet features.
        classes (Sequence[str]): Class names, Normal first.
        prompts (str | None): File of text features or concepts, see
            :func:`~vadlab.models.checkpoints.concept_prompts.read_concept_features`. The file is read once, before
            training; the features are saved in the checkpoint. Not needed for tests.
        prompt_classes (Sequence[str] | None): Classes of the file's rows, if their order or names differ from
            ``classes``.
        clip (str | None): CLIP weights to encode concepts with.
        prompt_dim (int): Channels E of the text features.
        several_classes (str): Text feature of a video with several classes: that of the ``first``, or the ``mean``.
        attention_dim (int): Channels H of queries, keys and values.
        hidden_dim (int): Input channels of the classifier.
        window (int): Snippets in the window of local attention.
        decay (float): Initial decay of the position prior.
        offset (float): Initial offset of the position prior.
        norm_context (bool): Apply power and L2 norm to the attention's output.
        kernel_size (int): Kernel of the causal classifier: the present snippet and those before it.
        temperature (float): Initial temperature of the alignment, > 0.
        align_weight (float): Factor of ``loss_align``.
        dropout (float): Dropout after both layers of the MLP.
        train_on_padding (bool): Treat padding as snippets of zeros in training, as the authors' code does.
        snippet_len (int): See :class:`SnippetDetector`.
        data_preprocessor (dict | nn.Module | None): See :class:`SnippetDetector`.

    Raises:
        ConfigError: An argument is out of its range.
    """

    attends_to_all = True
    public_layouts = ('yujiangpu20/PEL4VAD',)

    def __init__(
        self,
        feature_dim: int = 1024,
        classes: Sequence[str] = ('Normal', 'Abnormal'),
        prompts: str | None = None,
        prompt_classes: Sequence[str] | None = None,
        clip: str | None = None,
        prompt_dim: int = 512,
        several_classes: str = 'first',
        attention_dim: int = 128,
        hidden_dim: int = 300,
        window: int = 9,
        decay: float = 0.6,
        offset: float = 0.2,
        norm_context: bool = True,
        kernel_size: int = 9,
        temperature: float = 0.09,
        align_weight: float = 1.0,
        dropout: float = 0.1,
        train_on_padding: bool = False,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len, data_preprocessor)
        if len(classes) < 2:
            raise ConfigError(f'PEL4VAD: needs Normal and at least one other class, got classes={list(classes)}.')
        if several_classes not in SEVERAL_CLASSES:
            raise ConfigError(f'PEL4VAD: several_classes is {several_classes!r}; choose first or mean.')
        if temperature <= 0 or kernel_size < 1:
            raise ConfigError(f'PEL4VAD: temperature={temperature} must be > 0 and kernel_size={kernel_size} >= 1.')
        self.classes = tuple(classes)
        self.prompts = prompts
        self.prompt_classes = prompt_classes
        self.clip = clip
        self.several_classes = several_classes
        self.align_weight = align_weight
        self.train_on_padding = train_on_padding

        self.context = TemporalContext(feature_dim, attention_dim, window, decay, offset, norm_context)
        self.norm = nn.LayerNorm(feature_dim)
        self.to_embedding = nn.Linear(feature_dim, prompt_dim)
        self.to_hidden = nn.Linear(prompt_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv1d(hidden_dim, 1, kernel_size)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))
        self.register_buffer('prompt_features', torch.zeros(len(classes), prompt_dim))
        self._has_prompts = False
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                nn.init.xavier_uniform_(module.weight)

    def init_weights(self) -> None:
        """Read the text features; the Runner calls it before training. Other weights are already initialised."""
        if not self.is_init:
            self._is_init = True
            self.read_prompts()

    def read_prompts(self) -> None:
        """Fill ``prompt_features`` from the file.

        Raises:
            ConfigError: No file is given, or its features have another size than ``prompt_dim``.
            VADLabError: See :func:`~vadlab.models.checkpoints.concept_prompts.read_concept_features`.
        """
        if self.prompts is None:
            raise ConfigError('PEL4VAD: training needs prompts=FILE, a .npy of text features or a .json of concepts.')
        features_ke = read_concept_features(self.prompts, self.classes, self.prompt_classes, self.clip)
        if features_ke.shape != self.prompt_features.shape:
            raise ConfigError(
                f'PEL4VAD: the text features of {self.prompts} have {features_ke.shape[1]} channels; '
                f'prompt_dim is {self.prompt_features.shape[1]}.'
            )
        self.prompt_features.copy_(features_ke)
        self._has_prompts = True

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Multiple-instance loss of the scores, and alignment of pooled embeddings with their class's text feature.

        Args:
            feats_bctd (Tensor): Snippet features, float32, shape (B, C, T, D); each crop counts as a video.
            mask_bt (Tensor): True at real snippets, bool, shape (B, T).
            data_samples (list[VADDataSample]): One per video, with ``gt_label``, and ``gt_classes`` for
                ``several_classes='mean'``.

        Returns:
            dict[str, Tensor]: loss_mil, loss_align, and for the log logit_scale of the alignment.

        Raises:
            DataError: A video's class is unknown.
        """
        if not self._has_prompts:
            self._has_prompts = bool(self.prompt_features.any())  # as after loading a checkpoint
        if not self._has_prompts:
            self.read_prompts()
        crops = feats_bctd.shape[1]
        mask_bt = mask_bt.repeat_interleave(crops, 0)
        label_b = self.labels_of(data_samples).repeat_interleave(crops, 0)
        classes_bk = self._class_weights(data_samples).repeat_interleave(crops, 0)
        takes_part_bt = torch.ones_like(mask_bt) if self.training and self.train_on_padding else mask_bt

        embeds_bte, logits_bt = self.encode(feats_bctd.flatten(0, 1), takes_part_bt)
        scores_bt = _at_least_float32(logits_bt).sigmoid()
        # Score of a normal video: its highest; of an abnormal one: the mean of its length // 16 + 1 highest.
        weights_bt = torch.where(
            label_b[:, None] > 0,
            top_snippets(scores_bt, mask_bt),
            top_snippets(scores_bt, mask_bt, divisor=mask_bt.shape[1] + 1),
        )
        with torch.autocast(embeds_bte.device.type, enabled=False):
            loss_align = self.alignment(_at_least_float32(embeds_bte), scores_bt, takes_part_bt, label_b, classes_bk)
        return {
            'loss_mil': probability_bce((weights_bt * scores_bt).sum(1), (label_b > 0).float()),
            'loss_align': self.align_weight * loss_align,
            'logit_scale': self.logit_scale.exp().detach(),
        }

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores and their logits, without smoothing; see :meth:`SnippetDetector.score`."""
        _, logits_bt = self.encode(feats_btd, mask_bt)
        return {'scores': logits_bt.float().sigmoid(), 'logits': logits_bt.float()}

    def encode(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings in the prompts' space, shape (B, T, E), and anomaly logits, shape (B, T).

        Args:
            feats_btd (Tensor): Snippet features, shape (B, T, D).
            mask_bt (Tensor): True at snippets that take part, bool, shape (B, T).
        """
        x_btd = self.norm(feats_btd + self.context(feats_btd, mask_bt))
        embeds_bte = self.dropout(F.gelu(self.to_embedding(x_btd)))
        hidden_btc = self.dropout(F.gelu(self.to_hidden(embeds_bte)))
        past = self.classifier.kernel_size[0] - 1  # padded on the left only: scores do not depend on later snippets
        logits_b1t = self.classifier(F.pad(hidden_btc.transpose(1, 2), (past, 0)))
        return embeds_bte, logits_b1t[:, 0]

    def alignment(
        self, embeds_bte: Tensor, scores_bt: Tensor, mask_bt: Tensor, label_b: Tensor, classes_bk: Tensor
    ) -> Tensor:
        """Alignment loss: divergence between the similarities of pooled embeddings to texts and their classes.

        Each video gives the mean of its embeddings weighted towards high scores, whose class is the video's. Each
        abnormal video also gives a mean weighted towards low scores, whose class is Normal.

        Args:
            embeds_bte (Tensor): Embeddings, float32, shape (B, T, E).
            scores_bt (Tensor): Scores, float32, 0..1, shape (B, T).
            mask_bt (Tensor): True at snippets that take part, bool, shape (B, T).
            label_b (Tensor): Classes, int64, shape (B,).
            classes_bk (Tensor): Weights of the classes' text features for each video, shape (B, K).

        Returns:
            Tensor: The loss, scalar.
        """
        abnormal_b = label_b > 0
        foreground_be = _pool(embeds_bte, scores_bt, mask_bt)
        background_be = _pool(embeds_bte, 1 - scores_bt, mask_bt)
        text_be = classes_bk @ self.prompt_features
        normal_be = self.prompt_features[:1].expand_as(text_be)
        visual_ne = torch.cat([foreground_be, background_be[abnormal_b]])
        text_ne = torch.cat([text_be, normal_be[abnormal_b]])
        label_n = torch.cat([label_b, torch.zeros_like(label_b[abnormal_b])])

        logits_nn = self.logit_scale.exp() * F.normalize(visual_ne, dim=-1) @ F.normalize(text_ne, dim=-1).T
        target_nn = (TARGET_SHARPNESS * (label_n[:, None] == label_n).float()).softmax(1)
        return F.kl_div(logits_nn.log_softmax(1), target_nn, reduction='batchmean')

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert the authors' ``ckpt/*.pkl``; text features, needed only in training, are taken from this model."""
        renamed = from_pel4vad(tensors)
        return None if renamed is None else {**renamed, 'prompt_features': self.prompt_features}

    def _class_weights(self, data_samples: list[VADDataSample]) -> Tensor:
        for sample in data_samples:
            if not 0 <= int(sample.gt_label) < len(self.classes):
                raise DataError(
                    f'PEL4VAD: video {sample.get("video_id")!r} has the class {int(sample.gt_label)}; prompts are for '
                    f'0 to {len(self.classes) - 1} ({", ".join(self.classes)}). Each video needs a known class.'
                )
        first_bk = F.one_hot(self.labels_of(data_samples), len(self.classes)).to(self.prompt_features.dtype)
        if self.several_classes == 'first':
            return first_bk
        several_bk = torch.stack([sample.gt_classes for sample in data_samples]).to(first_bk)
        several_bk[:, 0] = first_bk[:, 0]
        return several_bk / several_bk.sum(1, keepdim=True)


class TemporalContext(nn.Module):
    """Global and local self-attention from one similarity matrix, with a learnt prior of temporal distance.

    The prior ``exp(-|decay * (i - j) ** 2 - offset|)`` is added to every similarity. The local map covers ``window``
    snippets, the global map all. A learnt gate mixes their outputs.

    Args:
        dim (int): Channels D.
        attention_dim (int): Channels H of queries, keys and values.
        window (int): Snippets in the window of the local map.
        decay (float): Initial decay of the prior.
        offset (float): Initial offset of the prior.
        norm (bool): Apply a power norm to the mixed output, then an L2 norm over time.

    Raises:
        ConfigError: ``window`` is less than 1.
    """

    #: Maximum number of rows of the maps in memory at once: test videos can have thousands of snippets.
    max_rows = 1024

    def __init__(
        self, dim: int, attention_dim: int, window: int, decay: float, offset: float, norm: bool = True
    ) -> None:
        super().__init__()
        if window < 1:
            raise ConfigError(f'PEL4VAD: window={window} must be >= 1.')
        self.window = window
        self.norm = norm
        self.query = nn.Linear(dim, attention_dim)
        self.key = nn.Linear(dim, attention_dim)
        self.value = nn.Linear(dim, attention_dim)
        self.output = nn.Linear(attention_dim, dim)
        self.gate = nn.Parameter(torch.zeros(()))  # logit of the weight of the global map
        self.decay = nn.Parameter(torch.tensor(float(decay)))
        self.offset = nn.Parameter(torch.tensor(float(offset)))

    def forward(self, feats_btd: Tensor, mask_bt: Tensor) -> Tensor:
        """Context features from attention over the snippets, shape (B, T, D).

        Args:
            feats_btd (Tensor): Snippet features, shape (B, T, D).
            mask_bt (Tensor): True at snippets that may be attended to, bool, shape (B, T).
        """
        query_bth, key_bth, value_bth = self.query(feats_btd), self.key(feats_btd), self.value(feats_btd)
        rows = torch.arange(feats_btd.shape[1], device=feats_btd.device)
        # The length is not known in an export.
        parts = [rows] if torch.compiler.is_exporting() else rows.split(self.max_rows)
        mixed_bth = torch.cat(
            [self._attend(query_bth[:, part], key_bth, value_bth, part, mask_bt) for part in parts], dim=1
        )
        if self.norm:
            mixed_bth = mixed_bth.to(
                torch.promote_types(mixed_bth.dtype, torch.float32)
            )  # 1e-12 is 0 in half precision
            mixed_bth = mixed_bth * mixed_bth.abs().clamp_min(1e-12).rsqrt()  # sign(x) sqrt(|x|), finite slope at 0
            mixed_bth = F.normalize(mixed_bth * mask_bt[..., None], dim=1)
        return self.output(mixed_bth)

    def _attend(self, query_brh: Tensor, key_bth: Tensor, value_bth: Tensor, rows: Tensor, mask_bt: Tensor) -> Tensor:
        apart_rt = torch.arange(key_bth.shape[1], device=rows.device) - rows[:, None]
        prior_rt = torch.exp(-(self.decay * apart_rt**2 - self.offset).abs())
        similarity_brt = query_brh @ key_bth.transpose(1, 2) * key_bth.shape[2] ** -0.5 + prior_rt
        # Padding attends to itself: a fully masked row would be NaN.
        similarity_brt = similarity_brt.masked_fill(~(mask_bt[:, None] | (apart_rt == 0)), -torch.inf)
        before = self.window // 2
        outside_rt = (apart_rt < -before) | (apart_rt >= self.window - before)
        share = self.gate.sigmoid()
        map_brt = share * similarity_brt.softmax(-1)
        map_brt = map_brt + (1 - share) * similarity_brt.masked_fill(outside_rt, -torch.inf).softmax(-1)
        return map_brt.to(value_bth.dtype) @ value_bth


def _pool(embeds_bte: Tensor, scores_bt: Tensor, mask_bt: Tensor) -> Tensor:
    """Mean of the embeddings, weighted by an exponential of the scores."""
    weights_bt = torch.expm1(POOLING_SHARPNESS * scores_bt) * mask_bt
    return (F.normalize(weights_bt, p=1, dim=1)[:, None] @ embeds_bte)[:, 0]


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
