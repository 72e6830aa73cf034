# Shapes: b videos (or chunks of them), c crops, t snippets, p positions for snippets, d channels, k classes (0 is
# Normal), l tokens of a phrase, h heads of f channels, m prototypes, s snippets treated as normal.
from collections.abc import Mapping, Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.dsanet_layout import from_dsanet
from ..layers.chunks import map_chunks, pad_positions
from ..layers.local_global_adapter import LocalGlobalAdapter
from ..layers.mlp import MLP
from ..layers.normality_branch import NormalityBranch
from ..layers.top_snippets import top_snippets
from ..layers.two_branch_logits import TEMPERATURE, two_branch_logits
from ..layers.weights_cache import WeightsCache
from ..losses.probability_bce import probability_bce
from .frozen_text import class_phrases, load_frozen_text
from .snippet_detector import SnippetDetector

SHARPNESS = 10.0  # factor of the scores in the split of a video into event and background
SMOOTHING = 0.1  # label smoothing of event and background
BACKGROUND_SHARE = 0.01  # target of an abnormal class for the background, before targets are scaled to sum to 1


@MODELS.register_module()
class DSANet(SnippetDetector):
    """DSANet: VadCLIP's two branches, normal patterns of each video, and texts aligned with event and background.

    Yin et al., "Learning to Tell Apart: Weakly Supervised Video Anomaly Detection via Disentangled Semantic Alignment",
    AAAI 2026, arXiv:2511.10334. Authors' code: https://github.com/lessiYin/DSANet. It builds on VadCLIP (Wu et al.,
    AAAI 2024, arXiv:2308.11681): the temporal adapter and both branches are the same.

    ::

        CLIP features -> temporal adapter -> x -> + MLP -> linear -> binary logits (b, p)              -> loss_binary
        class names -> frozen text tower with adapters -> learnt layer -> texts (k, d)                -> loss_separation
        texts + sum of x * binary logit -> + MLP -> cosine with x -> class logits (b, p, k)           -> loss_align

        x where scores are high -> event of the video      -> cosine with texts (b, k)                -> loss_event
        x where scores are low  -> background of the video -> cosine with texts (b, k)                -> loss_background

        x of the lowest scores + learnt prototypes -> normal patterns of the video (b, m, d)          -> loss_gather
        x -> reconstructed from these patterns -> reconstruction error, against binary scores        -> loss_consistency

    We follow the authors' code, which gave the published numbers, except that it restarts every epoch from the weights
    that are best on the test set; see docs/parity.md for the details.

    Args:
        classes (Sequence[str]): Class names, Normal first.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`, without long positions.
        prompts (Mapping[str, str] | None): Phrase for each class; the class name by default.
        embed_dim (int): Channels d of the features.
        max_snippets (int): Positions p; longer videos are tested in chunks of p snippets.
        window (int): Positions per window of the adapter's transformer.
        layers (int): Number of blocks of that transformer.
        heads (int): Number of its attention heads.
        adapted_blocks (int): Number of first blocks of the text tower that get an adapter.
        adapter_weight (float): Weight of the adapter's output in the output of such a block, 0..1.
        prototypes (int): Number of learnt normal patterns m.
        normal_share (float): Share of a video's positions, those with the lowest scores, that are treated as normal,
            0..1.
        decoder_layers (int): Number of blocks that reconstruct a video from its normal patterns.
        align_weight (float): Factor of ``loss_align``.
        class_temperature (float): Temperature of the class probabilities in tests.
        pretrained (str | None): CLIP weights of the text tower: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads. They are frozen.
        tokenizer (dict | None): Config of the tokenizer; CLIPTokenizer by default.
        snippet_len (int): Frames per snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.

    Raises:
        ConfigError: There are fewer than two classes, a prompt is for an unknown class or too long, there are more
            adapters than blocks, or ``normal_share`` selects no snippet.
    """

    public_layouts = ('https://github.com/lessiYin/DSANet',)

    def __init__(
        self,
        classes: Sequence[str],
        text: dict,
        prompts: Mapping[str, str] | None = None,
        embed_dim: int = 512,
        max_snippets: int = 256,
        window: int = 8,
        layers: int = 2,
        heads: int = 1,
        adapted_blocks: int = 3,
        adapter_weight: float = 0.1,
        prototypes: int = 16,
        normal_share: float = 0.8,
        decoder_layers: int = 8,
        align_weight: float = 1.1,
        class_temperature: float = 5.0,
        pretrained: str | None = None,
        tokenizer: dict | None = None,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len=snippet_len, data_preprocessor=data_preprocessor)
        phrases = class_phrases(classes, prompts, 'DSANet')
        if not 1 <= int(max_snippets * normal_share) <= max_snippets:
            raise ConfigError(
                f'DSANet: normal_share={normal_share} of max_snippets={max_snippets} must be 1 snippet or more, and '
                'not more than all.'
            )
        self.classes = tuple(classes)
        self.max_snippets = max_snippets
        self.adapter_weight = adapter_weight
        self.num_normal = int(max_snippets * normal_share)
        self.align_weight = align_weight
        self.class_temperature = class_temperature
        self.pretrained = pretrained

        self.adapter = LocalGlobalAdapter(embed_dim, max_snippets, window, layers, heads)
        self.binary_mlp = MLP(embed_dim)
        self.classifier = nn.Linear(embed_dim, 1)

        self.text = MODELS.build(text).requires_grad_(False)
        width, blocks = self.text.width, len(self.text.blocks)
        if not 0 <= adapted_blocks <= blocks:
            raise ConfigError(f'DSANet: adapted_blocks={adapted_blocks}, but the text tower has {blocks} blocks.')
        self.text_adapters = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(adapted_blocks))
        self.text_output = nn.Linear(width, embed_dim, bias=False)
        for layer in (*self.text_adapters, self.text_output):
            nn.init.xavier_uniform_(layer.weight)
        self.text_mlp = MLP(embed_dim)

        self.normality = NormalityBranch(embed_dim, prototypes, decoder_layers)

        self._tokenize(phrases, tokenizer or dict(type='CLIPTokenizer'))
        self._texts = WeightsCache[Tensor]()

    def _tokenize(self, phrases: list[str], tokenizer: dict) -> None:
        encode = TOKENIZERS.build(tokenizer).encode
        rows = [torch.tensor(encode(phrase, 10**6)) for phrase in phrases]
        for phrase, row in zip(phrases, rows, strict=True):
            if len(row) > self.text.context_length:
                raise ConfigError(
                    f'DSANet: the prompt {phrase!r} has {len(row)} tokens with both ends, the text tower takes '
                    f'{self.text.context_length}.'
                )
        # The tower is causal, so padding after the end token does not affect it.
        ids_kl = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        self.register_buffer('prompt_ids', ids_kl, persistent=False)
        self.register_buffer('prompt_ends', torch.tensor([len(row) - 1 for row in rows]), persistent=False)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the text tower; the Runner calls it before training."""
        load_frozen_text(self, self.pretrained)

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert the authors' ``model_ucf.pth`` or ``model_xd.pth``, which include CLIP's text tower, to our names."""
        return from_dsanet(tensors)

    # ---- the network -----------------------------------------------------------------------------------------------

    def encode_prompts(self) -> Tensor:
        """Unit embeddings of the class phrases from the text tower with adapters, shape (k, d)."""
        text = self.text
        x_kld = text.token_embedding(self.prompt_ids) + text.positional_embedding[: self.prompt_ids.shape[1]]
        for i, block in enumerate(text.blocks):
            x_kld = block(x_kld)
            if i < len(self.text_adapters):
                adapted = F.leaky_relu(self.text_adapters[i](x_kld))
                # Scaled to the length of the vector that it is mixed with.
                adapted = adapted * (_length(x_kld) / (_length(adapted) + 1e-6))
                x_kld = self.adapter_weight * adapted + (1 - self.adapter_weight) * x_kld
        ends_kd = x_kld[torch.arange(len(x_kld), device=x_kld.device), self.prompt_ends]
        return F.normalize(F.leaky_relu(self.text_output(text.final_norm(ends_kd))), dim=-1)

    def event_and_background(self, x_bpd: Tensor, scores_bp: Tensor) -> tuple[Tensor, Tensor]:
        """Event and background features: means over all positions, weighted by high or by low scores, shape (b, d)."""
        event_bp, background_bp = (torch.expm1(SHARPNESS * s) for s in (scores_bp, 1 - scores_bp))
        event_bd, background_bd = (
            torch.einsum('bp,bpd->bd', F.normalize(w, p=1, dim=-1), x_bpd) for w in (event_bp, background_bp)
        )
        return event_bd, background_bd

    # ---- training --------------------------------------------------------------------------------------------------

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; each crop of a video counts as a video.

        Returns:
            dict[str, Tensor]: loss_binary: cross-entropy of the mean of the highest probabilities with the video's
            label. loss_align: cross-entropy of the means of each class's highest logits with the video's classes, times
            its weight. loss_separation: similarity between Normal's text and the others. loss_event, loss_background:
            the video's event matches its class, its background matches Normal. loss_consistency: snippets with a large
            reconstruction error have high scores. loss_gather: each snippet treated as normal is close to one of the
            normal patterns.

        Raises:
            ConfigError: A video has more snippets than ``max_snippets``.
            DataError: A video has no class.
        """
        crops = feats_bctd.shape[1]
        lengths = list(chain.from_iterable([int(sample.num_snippets)] * crops for sample in data_samples))
        feats_btd, mask_bt = feats_bctd.flatten(0, 1), mask_bt.repeat_interleave(crops, 0)
        feats_bpd = pad_positions(feats_btd * mask_bt[..., None], self.max_snippets, 'DSANet')
        mask_bp = pad_positions(mask_bt, self.max_snippets, 'DSANet')
        classes_bk = self.class_shares(data_samples, len(self.classes)).repeat_interleave(crops, 0)

        texts_kd = self.encode_prompts()
        x_bpd = self.adapter(feats_bpd, lengths)
        binary_bp, logits_bpk = two_branch_logits(x_bpd, texts_kd, self.binary_mlp, self.classifier, self.text_mlp)
        scores_bp = binary_bp.sigmoid()
        scores_b = (top_snippets(scores_bp, mask_bp) * scores_bp).sum(1)
        logits_bk = (top_snippets(logits_bpk, mask_bp) * logits_bpk).sum(1)

        event_bk, background_bk = (
            F.normalize(part_bd, dim=-1) @ texts_kd.T / TEMPERATURE
            for part_bd in self.event_and_background(x_bpd, scores_bp)
        )
        normal_k = torch.full_like(classes_bk[0], BACKGROUND_SHARE)
        normal_k[0] = 1

        places = scores_bp.detach().topk(self.num_normal, dim=1, largest=False).indices
        normal_bsd = x_bpd.detach().gather(1, places[..., None].expand(-1, -1, x_bpd.shape[-1]))
        rebuilt_bpd, loss_gather = self.normality(x_bpd, normal_bsd)
        error_bp = (1 - F.cosine_similarity(x_bpd, rebuilt_bpd, dim=-1)) / 2
        return {
            'loss_binary': probability_bce(scores_b, (classes_bk[:, 0] == 0).float()),
            'loss_align': self.align_weight * F.cross_entropy(logits_bk, classes_bk),
            'loss_separation': (texts_kd[1:] @ texts_kd[0]).abs().mean(),
            'loss_event': F.cross_entropy(event_bk, classes_bk, label_smoothing=SMOOTHING),
            'loss_background': F.cross_entropy(
                background_bk, (normal_k / normal_k.sum()).expand_as(background_bk), label_smoothing=SMOOTHING
            ),
            'loss_consistency': ((scores_bp - error_bp) ** 2 * mask_bp).sum() / mask_bp.sum(),
            'loss_gather': loss_gather,
        }

    # ---- test ------------------------------------------------------------------------------------------------------

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores, computed in chunks of ``max_snippets``; see :meth:`SnippetDetector.score`."""
        texts_kd = self._texts.get(self.encode_prompts)

        def forward(feats_bpd: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
            x_bpd = self.adapter(feats_bpd, lengths)
            return two_branch_logits(x_bpd, texts_kd, self.binary_mlp, self.classifier, self.text_mlp)

        binary_bt, logits_btk = map_chunks(forward, feats_btd, mask_bt, self.max_snippets)
        soft_bt1, soft_btk = binary_bt[..., None] / self.class_temperature, logits_btk / self.class_temperature
        abnormal_btk = soft_bt1.sigmoid() * soft_btk[..., 1:].softmax(-1)
        return {
            'scores': binary_bt.sigmoid(),
            'logits': binary_bt,
            'class_scores': torch.cat([(-soft_bt1).sigmoid(), abnormal_btk], dim=-1),
        }


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)
