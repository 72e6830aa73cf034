# Shapes: b videos (or chunks of them), c crops, t snippets, p places for snippets, d channels, k classes (0 is Normal),
# l tokens of a prompt.
from collections.abc import Mapping, Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

from ..checkpoints.clip_loading import init_text_from_clip
from ..checkpoints.vadclip_layout import from_vadclip
from ..layers.chunks import over_chunks, to_places
from ..layers.local_global_adapter import LocalGlobalAdapter
from ..layers.mlp import MLP
from ..layers.top_snippets import top_snippets
from ..layers.two_branch_logits import two_branch_logits
from ..layers.weights_cache import WeightsCache
from ..losses.probability_bce import probability_bce
from .snippet_detector import SnippetDetector


@MODELS.register_module()
class VadCLIP(SnippetDetector):
    """A frozen CLIP adapted in time and by learnt prompts, with a binary and a text-aligned branch.

    Wu et al., "VadCLIP: Adapting Vision-Language Models for Weakly Supervised Video Anomaly Detection", AAAI 2024,
    arXiv:2308.11681. Authors' code: https://github.com/nwpu-zxr/VadCLIP.

    ::

        CLIP features -> adapter in time -> x -+- + MLP -> linear -----> binary logits (b, p)        -> loss_binary
                                               |                            |
                                               +-> sum of x * logit -> unit vector of the video
                                               |                            |
        class names between learnt vectors     |                            v
            -> frozen text tower, projection --|--------------------------> + -> + MLP -> texts of the video
                     |                         |                                                  |
              loss_separation                  +----------------> cosine / 0.07 <-----------------+
                                                                        |
                                                                 class logits (b, p, k)              -> loss_align

    Followed is the code that gave the published numbers, also where it is not what one expects:

    - Windows of the adapter lie side by side, those of the paper overlap. The graph of near snippets is
      exp(-distance / e) as it is, no softmax of it, and e is fixed: the parameter that the code holds is never read.
    - Places past the end of a short video take part: in its last window, in the graph of near snippets, and in the sum
      over the video that is added to the texts. All videos and chunks have ``max_snippets`` places for that reason.
      What the losses and the caller get is of real snippets only.
    - The weights of the sum over the video are the binary logits as they are, negative ones included.
    - The share of a video's snippets that its losses are taken of is n // 16 + 1, and of the aligned branch for each
      class apart; the binary branch averages probabilities, the aligned one logits.
    - ``loss_separation`` is the mean over abnormal classes of the absolute cosine between their text and Normal's,
      times 0.1 on UCF-Crime and 0.0001 on XD-Violence.
    - Scores are the binary branch's on UCF-Crime, the aligned one's (1 - probability of Normal) on XD-Violence: the
      authors chose the checkpoints by these. Class scores are the aligned branch's.

    Not followed: after every epoch the authors go on from the weights that did best on the test set so far.

    Only what is read is computed: prompts end at their end token instead of after 77 positions, padding that is alike
    passes the transformer once, its single head needs two projections instead of four, the binary MLP's output layer is
    folded into the classifier behind it, and in tests the texts are encoded once. All of it is exact but for rounding.

    Args:
        classes (Sequence[str]): Class names, Normal first.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`, without long positions.
        prompts (Mapping[str, str] | None): Phrases that stand for classes; the class name itself for those not named.
        embed_dim (int): Channels d of the features, which are also those of CLIP's common space.
        max_snippets (int): Places p; longer videos are tested in chunks of as many.
        window (int): Places of a window of the adapter's transformer.
        layers (int): Blocks of that transformer.
        heads (int): Their attention heads.
        prompt_prefix (int): Learnt vectors before a class name.
        prompt_postfix (int): Learnt vectors after it.
        separation_weight (float): Of ``loss_separation``.
        score_branch (str): ``binary`` or ``aligned``.
        pretrained (str | None): CLIP weights of the text tower: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads. They stay as they are.
        tokenizer (dict | None): Config of the tokenizer; CLIPTokenizer by default.
        snippet_len (int): Frames a snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.

    Raises:
        ConfigError: Fewer than two classes, a prompt of an unknown class or of too many tokens, an unknown branch.
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
        if len(classes) < 2:
            raise ConfigError(f'VadCLIP: needs Normal and at least one abnormal class, got {list(classes)}.')
        for name in prompts or {}:
            if name not in classes:
                raise ConfigError(f'VadCLIP: prompts name no class {name!r}. {nearest(name, list(classes))}')
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
        # By place in the prompt: where one class has a word, another may have a learnt vector.
        self.prompt_embedding = nn.Parameter(torch.randn(self.text.context_length, self.text.width) * 0.01)
        phrases = [(prompts or {}).get(name, name) for name in classes]
        self._lay_out(phrases, tokenizer or dict(type='CLIPTokenizer'), prompt_prefix, prompt_postfix)
        self._texts = WeightsCache[Tensor]()

    def _lay_out(self, phrases: list[str], tokenizer: dict, prefix: int, postfix: int) -> None:
        """Where each prompt has words: start, ``prefix`` learnt vectors, phrase, ``postfix`` learnt vectors, end."""
        encode = TOKENIZERS.build(tokenizer).encode
        limit = self.text.context_length
        rows, ends = [], []
        for phrase in phrases:
            start, *words, end = encode(phrase, 10**6)
            row = [start, *[-1] * prefix, *words, *[-1] * postfix, end]
            if len(row) > limit:
                raise ConfigError(
                    f'VadCLIP: the prompt {phrase!r} has {len(words)} tokens, with prompt_prefix={prefix}, '
                    f'prompt_postfix={postfix} and both ends {len(row)}; the text tower takes {limit}.'
                )
            rows.append(torch.tensor(row))
            ends.append(len(row) - 1)
        ids_kl = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        self.register_buffer('prompt_ids', ids_kl, persistent=False)
        self.register_buffer('prompt_ends', torch.tensor(ends), persistent=False)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the text tower; the Runner calls it before training."""
        if self.is_init:
            return
        self._is_init = True  # BaseModel's own would list every tensor in the log, and the parts drew theirs when built
        if self.pretrained is not None:
            init_text_from_clip(self, self.pretrained)
        else:
            MMLogger.get_current_instance().warning(
                'VadCLIP: the frozen text tower has random weights; give pretrained=, the CLIP of the features.'
            )

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The authors' ``model_ucf.pth`` and ``model_xd.pth``, CLIP's text tower included, in our names."""
        return from_vadclip(tensors)

    # ---- the network -----------------------------------------------------------------------------------------------

    def encode_prompts(self) -> Tensor:
        """Class names between learnt vectors, projected and not normalised, shape (k, d)."""
        words_kld = self.text.token_embedding(self.prompt_ids.clamp(min=0))
        is_word = (self.prompt_ids >= 0)[..., None]
        embeds_kld = torch.where(is_word, words_kld, self.prompt_embedding[: self.prompt_ids.shape[1]])
        return self.text_projection(self.text.forward_embeddings(embeds_kld, self.prompt_ends))

    def logits_of(self, feats_bpd: Tensor, lengths: Sequence[int], texts_kd: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both branches at every place.

        Args:
            feats_bpd (Tensor): Features, zeros past the end, shape (b, p, d).
            lengths (Sequence[int]): Real snippets of each video, 1 to p.
            texts_kd (Tensor): What :meth:`encode_prompts` returns.

        Returns:
            tuple[Tensor, Tensor]: Binary logits, shape (b, p), and class logits, shape (b, p, k).
        """
        x_bpd = self.adapter(feats_bpd, lengths)
        return two_branch_logits(x_bpd, texts_kd, self.binary_mlp, self.classifier, self.text_mlp)

    # ---- training --------------------------------------------------------------------------------------------------

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms; several crops of a video are as many videos.

        Returns:
            dict[str, Tensor]: loss_binary: cross-entropy of the mean of the highest probabilities with the video's
            label. loss_align: cross-entropy of the means of each class's highest logits with the video's classes.
            loss_separation: how alike Normal's text and the others' are, times its weight.

        Raises:
            ConfigError: More snippets than ``max_snippets``.
        """
        crops = feats_bctd.shape[1]
        lengths = list(chain.from_iterable([int(sample.num_snippets)] * crops for sample in data_samples))
        feats_bpd, mask_bp = (
            to_places(x, self.max_snippets, 'VadCLIP')
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
        """In chunks of ``max_snippets``, see :meth:`SnippetDetector.score`."""
        texts_kd = self._texts.get(self.encode_prompts)

        def forward(feats_bpd: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
            return self.logits_of(feats_bpd, lengths, texts_kd)

        binary_bt, logits_btk = over_chunks(forward, feats_btd, mask_bt, self.max_snippets)
        logits_bt = binary_bt
        if self.score_branch == 'aligned':
            logits_bt = logits_btk[..., 1:].logsumexp(-1) - logits_btk[..., 0]
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt, 'class_scores': logits_btk.softmax(-1)}
