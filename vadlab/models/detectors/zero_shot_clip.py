# Shapes: b videos (or videos x crops), t snippets, d channels, k phrases.
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..heads.prompt_scoring_head import PromptScoringHead, tokenize_prompts
from ..layers.logit_scale import new_logit_scale, scale_of
from ..layers.weights_cache import WeightsCache
from .frozen_text import load_frozen_text
from .snippet_detector import SnippetDetector


@MODELS.register_module()
class ZeroShotCLIP(SnippetDetector):
    """Zero-shot CLIP: compares snippet features with descriptions of scenes; the baseline without training.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, arXiv:2103.00020. The
    features are CLIP's projected image embeddings; that of a snippet is the mean over its frames, scaled to unit length
    here. Scores come from :class:`~vadlab.models.heads.PromptScoringHead`.

    Nothing is trained, so there is no checkpoint to test: ``python tools/test.py CONFIG none``.

    Args:
        classes (Sequence[str]): Class names, Normal first.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`, without long positions.
        embed_dim (int): Channels d of the features and of CLIP's joint space.
        score_head (dict | None): Config of :class:`PromptScoringHead` without its classes: prompts, templates, window.
        pretrained (str | None): The CLIP that made the features: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads.
        tokenizer (dict | None): Config of the tokenizer; CLIPTokenizer by default.
        snippet_len (int): Frames per snippet.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor.
    """

    needs_training = False

    def __init__(
        self,
        classes: Sequence[str],
        text: dict,
        embed_dim: int = 512,
        score_head: dict | None = None,
        pretrained: str | None = None,
        tokenizer: dict | None = None,
        snippet_len: int = 16,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(snippet_len=snippet_len, data_preprocessor=data_preprocessor)
        self.text = MODELS.build(text)
        self.text_projection = nn.Linear(self.text.width, embed_dim, bias=False)
        nn.init.normal_(self.text_projection.weight, std=self.text.width**-0.5)
        self.logit_scale = new_logit_scale()
        self.requires_grad_(False)
        head = dict(type='PromptScoringHead', normal_class=classes[0], **(score_head or {}))
        self.score_head: PromptScoringHead = MODELS.build(dict(classes=list(classes), **head))
        self._own_head = self.score_head  # of the config; use_prompts replaces score_head
        self._encode = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer')).encode
        self._tokens = [torch.tensor(self._encode(text, self.text.context_length)) for text in self.score_head.texts]
        self.pretrained = pretrained
        self._prompts = WeightsCache[Tensor]()

    def init_weights(self) -> None:
        """Load ``pretrained`` into the text tower."""
        load_frozen_text(self, self.pretrained)

    def use_prompts(self, prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        """Score by other prompts than those of the config, until the next call; see :meth:`FGCLIP.use_prompts`.

        Raises:
            ConfigError: A prompt cannot be used.
        """
        limit = self.text.context_length
        if prompts is None:
            head = self._own_head
            tokens = [torch.tensor(self._encode(text, limit)) for text in head.texts]
        else:
            head = self._own_head.with_prompts(prompts, negatives)
            tokens = tokenize_prompts(head, self._encode, limit)
        self.score_head, self._tokens, self._prompts = head, tokens, WeightsCache[Tensor]()

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Not available: this method is not trained.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            'ZeroShotCLIP has nothing to train. Test it without a checkpoint: python tools/test.py CONFIG none'
        )

    @torch.no_grad()
    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores, logits and class scores of snippets; see :meth:`SnippetDetector.score`."""
        # Padding stays zero, so it does not rotate the mean over a window.
        embeds_btd = F.normalize(feats_btd.float(), dim=-1) * mask_bt[..., None]
        prompts_kd = self._prompts.get(self._encode_prompts)
        logits_bt, classes_btc = self.score_head(embeds_btd, prompts_kd, scale_of(self.logit_scale))
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt, 'class_scores': classes_btc}

    def _encode_prompts(self) -> Tensor:
        """One unit vector per phrase, shape (k, d)."""
        return self.score_head.ensemble(F.normalize(self.text_projection(self.text(self._tokens)), dim=-1))
