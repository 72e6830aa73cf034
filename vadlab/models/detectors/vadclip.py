# Shapes: b videos (or chunks of them), c crops, t snippets, p positions for snippets, d channels, k classes (0 is
# Normal), l tokens of a prompt.
import sys
from collections.abc import Mapping, Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.vadclip_layout import from_vadclip
from ..heads.prompt_scoring_head import checked_prompts
from ..layers.chunks import map_chunks, pad_positions
from ..layers.local_global_adapter import LocalGlobalAdapter
from ..layers.mlp import MLP
from ..layers.top_snippets import top_snippets
from ..layers.two_branch_logits import two_branch_logits
from ..layers.weights_cache import WeightsCache
from ..losses.probability_bce import probability_bce
from .frozen_text import class_phrases, load_frozen_text
from .snippet_detector import SnippetDetector


@MODELS.register_module()
class VadCLIP(SnippetDetector):
    """VadCLIP: frozen CLIP features with a temporal adapter, learnt prompts, and a binary and a text-aligned branch.

    Wu et al., "VadCLIP: Adapting Vision-Language Models for Weakly Supervised Video Anomaly Detection", AAAI 2024,
    arXiv:2308.11681. Authors' code: https://github.com/nwpu-zxr/VadCLIP.

    ::

        CLIP features -> temporal adapter -> x -+- + MLP -> linear -----> binary logits (b, p)        -> loss_binary
                                               |                            |
                                               +-> sum of x * logit -> unit vector of the video
                                               |                            |
        class names between learnt vectors     |                            v
            -> frozen text tower, projection --|--------------------------> + -> + MLP -> texts of the video
                     |                         |                                                  |
              loss_separation                  +----------------> cosine / 0.07 <-----------------+
                                                                        |
                                                                 class logits (b, p, k)              -> loss_align

    We follow the authors' code, which gave the published numbers, except that it restarts every epoch from the weights
    that are best on the test set; see docs/parity.md for the details.

    Computes only what is used: prompts end at their end token instead of position 77, identical padding goes through
    the transformer once, its single head needs two projections instead of four, the binary MLP's output layer is merged
    into the classifier, and in tests the texts are encoded once. All of this is exact up to rounding.

    Args:
        classes (Sequence[str]): Class names, Normal first.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`, without long positions.
        prompts (Mapping[str, str] | None): Phrase for each class; the class name by default.
        embed_dim (int): Channels d of the features and of CLIP's joint space.
        max_snippets (int): Positions p; longer videos are tested in chunks of p snippets.
        window (int): Positions per window of the adapter's transformer.
        layers (int): Number of blocks of that transformer.
        heads (int): Number of its attention heads.
        prompt_prefix (int): Number of learnt vectors before a class name.
        prompt_postfix (int): Number of learnt vectors after it.
        separation_weight (float): Factor of ``loss_separation``.
        score_branch (str): ``binary`` or ``aligned``.
        pretrained (str | None): CLIP weights of the text tower: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads. They are frozen.
        tokenizer (dict | None): Config of the tokenizer; CLIPTokenizer by default.
        snippet_len (int): Frames per snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.

    Raises:
        ConfigError: There are fewer than two classes, a prompt is for an unknown class or too long, or ``score_branch``
            is unknown.
    """

    public_layouts = ('https://github.com/nwpu-zxr/VadCLIP',)

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
        prompt_prefix: int = 10,
        prompt_postfix: int = 10,
        separation_weight: float = 0.1,
        score_branch: str = 'binary',
        pretrained: str | None = None,
        tokenizer: dict | None = None,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len=snippet_len, data_preprocessor=data_preprocessor)
        phrases = class_phrases(classes, prompts, 'VadCLIP')
        if score_branch not in ('binary', 'aligned'):
            raise ConfigError(f"VadCLIP: score_branch={score_branch!r} is neither 'binary' nor 'aligned'.")
        self.classes = tuple(classes)
        self.max_snippets = max_snippets
        self.separation_weight = separation_weight
        self.score_branch = score_branch
        self.pretrained = pretrained

        self.adapter = LocalGlobalAdapter(embed_dim, max_snippets, window, layers, heads)
        self.binary_mlp = MLP(embed_dim)
        self.classifier = nn.Linear(embed_dim, 1)

        self.text = MODELS.build(text)
        self.text_projection = nn.Linear(self.text.width, embed_dim, bias=False)
        nn.init.normal_(self.text_projection.weight, std=self.text.width**-0.5)
        self.text.requires_grad_(False)
        self.text_projection.requires_grad_(False)
        self.text_mlp = MLP(embed_dim)
        # Indexed by position in the prompt: one class may have a word where another has a learnt vector.
        self.prompt_embedding = nn.Parameter(torch.randn(self.text.context_length, self.text.width) * 0.01)
        self._encode = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer')).encode
        self._around = prompt_prefix, prompt_postfix
        self._own = self.classes, tuple(phrases), score_branch  # of the config; use_prompts replaces them
        self._lay_out(phrases)
        self._num_normal = 1  # phrases of the normal class, which come first
        self._texts = WeightsCache[Tensor]()

    def _lay_out(self, phrases: Sequence[str]) -> None:
        """Lay out each prompt: start, learnt vectors, phrase, learnt vectors, end."""
        (prefix, postfix), limit = self._around, self.text.context_length
        rows, ends = [], []
        for phrase in phrases:
            start, *words, end = self._encode(phrase, sys.maxsize)
            row = [start, *[-1] * prefix, *words, *[-1] * postfix, end]
            if len(row) > limit:
                raise ConfigError(
                    f'VadCLIP: the prompt {phrase!r} has {len(words)} tokens, with prompt_prefix={prefix}, '
                    f'prompt_postfix={postfix} and both ends {len(row)}; the text tower takes {limit}.'
                )
            rows.append(torch.tensor(row))
            ends.append(len(row) - 1)
        device = self.prompt_embedding.device
        ids_kl = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1).to(device)
        self.register_buffer('prompt_ids', ids_kl, persistent=False)
        self.register_buffer('prompt_ends', torch.tensor(ends, device=device), persistent=False)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the text tower; the Runner calls it before training."""
        load_frozen_text(self, self.pretrained)

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert the authors' ``model_ucf.pth`` or ``model_xd.pth``, which include CLIP's text tower, to our names."""
        return from_vadclip(tensors)

    def use_prompts(self, prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        """Score by other texts than the classes of the config, until the next call.

        Texts take the place of the class names between the learnt vectors. The binary branch sees no text, so scores
        come from the text-aligned branch: one minus the probability of what is normal. The learnt vectors fit the
        classes of the training best.

        Args:
            prompts (Sequence[str] | None): What is looked for, in words; None for the classes of the config.
            negatives (Sequence[str] | None): What counts as normal; None for the config's phrase.

        Raises:
            ConfigError: A prompt cannot be used.
        """
        classes, phrases, branch = self._own
        num_normal = 1
        if prompts is not None:
            prompts, others = checked_prompts(prompts, negatives, phrases[:1], classes[0])
            classes, phrases, branch = (classes[0], *prompts), (*others, *prompts), 'aligned'
            num_normal = len(others)
        self._lay_out(phrases)
        self.classes, self.score_branch, self._num_normal = classes, branch, num_normal
        self._texts = WeightsCache[Tensor]()

    # ---- the network -----------------------------------------------------------------------------------------------

    def encode_prompts(self) -> Tensor:
        """Text features of class names between learnt vectors, projected, not normalised, shape (k, d)."""
        words_kld = self.text.token_embedding(self.prompt_ids.clamp(min=0))
        is_word = (self.prompt_ids >= 0)[..., None]
        embeds_kld = torch.where(is_word, words_kld, self.prompt_embedding[: self.prompt_ids.shape[1]])
        return self.text_projection(self.text.forward_embeddings(embeds_kld, self.prompt_ends))

    def logits_of(self, feats_bpd: Tensor, lengths: Sequence[int], texts_kd: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both branches at every position.

        Args:
            feats_bpd (Tensor): Features, zeros past the end, shape (b, p, d).
            lengths (Sequence[int]): Number of real snippets of each video, 1 to p.
            texts_kd (Tensor): Output of :meth:`encode_prompts`.

        Returns:
            tuple[Tensor, Tensor]: Binary logits, shape (b, p), and class logits, shape (b, p, k).
        """
        x_bpd = self.adapter(feats_bpd, lengths)
        return two_branch_logits(x_bpd, texts_kd, self.binary_mlp, self.classifier, self.text_mlp)

    # ---- training --------------------------------------------------------------------------------------------------

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; each crop of a video counts as a video.

        Returns:
            dict[str, Tensor]: loss_binary: cross-entropy of the mean of the highest probabilities with the video's
            label. loss_align: cross-entropy of the means of each class's highest logits with the video's classes.
            loss_separation: similarity between Normal's text and the others, times its weight.

        Raises:
            ConfigError: A video has more snippets than ``max_snippets``.
        """
        crops = feats_bctd.shape[1]
        lengths = list(chain.from_iterable([int(sample.num_snippets)] * crops for sample in data_samples))
        feats_bpd, mask_bp = (
            pad_positions(x, self.max_snippets, 'VadCLIP')
            for x in (feats_bctd.flatten(0, 1), mask_bt.repeat_interleave(crops, 0))
        )
        targets_bk = self.class_shares(data_samples, len(self.classes)).repeat_interleave(crops, 0)

        texts_kd = self.encode_prompts()
        binary_bp, logits_bpk = self.logits_of(feats_bpd, lengths, texts_kd)
        scores_bp = binary_bp.sigmoid()
        scores_b = (top_snippets(scores_bp, mask_bp) * scores_bp).sum(1)
        logits_bk = (top_snippets(logits_bpk, mask_bp) * logits_bpk).sum(1)
        units_kd = F.normalize(texts_kd, dim=-1)
        return {
            'loss_binary': probability_bce(scores_b, (targets_bk[:, 0] == 0).float()),
            'loss_align': F.cross_entropy(logits_bk, targets_bk),
            'loss_separation': self.separation_weight * (units_kd[1:] @ units_kd[0]).abs().mean(),
        }

    # ---- test ------------------------------------------------------------------------------------------------------

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores, computed in chunks of ``max_snippets``; see :meth:`SnippetDetector.score`."""
        texts_kd = self._texts.get(self.encode_prompts)

        def forward(feats_bpd: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
            return self.logits_of(feats_bpd, lengths, texts_kd)

        binary_bt, logits_btk = map_chunks(forward, feats_btd, mask_bt, self.max_snippets)
        normal_bt = logits_btk[..., : self._num_normal].logsumexp(-1, keepdim=True)
        logits_btk = torch.cat([normal_bt, logits_btk[..., self._num_normal :]], dim=-1)
        logits_bt = binary_bt
        if self.score_branch == 'aligned':
            logits_bt = logits_btk[..., 1:].logsumexp(-1) - logits_btk[..., 0]
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt, 'class_scores': logits_btk.softmax(-1)}
