"""FG-CLIP 2 for video anomaly detection: FG-CLIP with other towers, text heads and losses.

Shape suffixes as in fgclip.py.
"""

import math
from typing import Annotated, Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.fgclip2_loading import init_from_fgclip2
from ..layers.gradient_cache import GradientCache
from ..layers.host_copy import to_device
from ..layers.logit_scale import MAX_LOGIT_SCALE, log_logit_scales
from .fgclip import FGCLIP

# Zhai et al., 2023, arXiv:2303.15343, section 3.2: at the start, most combinations are negatives and look like it.
_SCRATCH_SCALE, _SCRATCH_BIAS = math.log(10), -10.0
# SigLIP's normalisation: 0..255 to -1..1.
_PREPROCESSOR = dict(type='VADDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, pad=True)


@MODELS.register_module()
class FGCLIP2(FGCLIP):
    """FG-CLIP 2: bilingual contrastive training on videos and regions, to predict when, what and where.

    Xie et al., "FG-CLIP 2: A Bilingual Fine-Grained Vision-Language Alignment Model", 2025, arXiv:2510.10921
    (github.com/360CVGroup/FG-CLIP), extended from images to videos as :class:`FGCLIP`, whose training and prediction it
    shares. What differs:

    - towers of SigLIP 2: frames keep their aspect ratio, and videos of different sizes may be in one batch;
    - no projections of frames; a dense feature head takes the place of the value path;
    - three text heads: for short captions and prompts, for long captions, and for captions of regions;
    - the global loss is a sigmoid loss with a learnt bias, whose temperature has no upper bound;
    - a contrast among the captions of regions, and hard negatives with a ranking margin.

    ::

        frames (b,t) -> vision -+- attention pooling --> mean over t -------------> video   <-global-> caption
                                |                    +-> against prompts ---------> logit of every frame
                                +- dense head (frames with a box) -> RoIAlign, one box per frame
                                      -> mean over frames with a box -> region <-region-> caption <-text-> captions
                                                                               <-hard---> negatives
        caption, up to 64 tokens -> text, short positions -> text_projection
        caption, longer          -> text, long positions  -> text_filip_projection
        caption of a region      -> text, short positions -> text_box_projection

    Args:
        vision (dict): Config of the vision tower, :class:`SigLIP2VisionTransformer`.
        text (dict): Config of the text tower, :class:`SigLIP2TextTransformer`.
        tokenizer (dict | None): Config of the tokenizer of the score prompts, the same as in the pipeline; by default
            the :class:`HuggingFaceTokenizer` of ``pretrained``.
        temporal_pooling (dict | None): Config of the pooling of frames to a video; MeanTemporalPooling by default.
        roi_pool (dict | None): Config of the pooling of boxes to features; TrackRoIPool by default.
        loss_global (dict | None): Config of the loss of videos and captions; SigmoidContrastiveLoss by default.
        loss_region (dict | None): Config of the loss of regions and captions; InfoNCELoss with weight 0.2 by default.
        loss_text (dict | None): Config of the loss among captions of regions; TextContrastiveLoss with weight 0.1 by
            default.
        loss_hard_negative (dict | None): Config of the loss of regions and hard negatives, such as
            RankedHardNegativeLoss; None for no such loss.
        queue (dict | None): As for :class:`FGCLIP`.
        queue_global (bool): As for :class:`FGCLIP`.
        gradient_cache (dict | None): As for :class:`FGCLIP`.
        score_head (dict | None): As for :class:`FGCLIP`.
        grounding_head (dict | None): As for :class:`FGCLIP`.
        pretrained (str | None): Weights to start training from: a folder or Hugging Face id that
            :func:`~vadlab.models.checkpoints.fgclip2_loading.read_fgclip2` reads.
        logit_scale_init (float | None): Initial value of the log temperatures of regions and of hard negatives, at most
            ln 100. By default that of ``pretrained`` (ln 100 if it has none), and ln(1 / 0.07) without.
        data_preprocessor (dict | None): Config of the data preprocessor; by default VADDataPreprocessor with SigLIP's
            mean and standard deviation, for videos of different sizes.

    Raises:
        ConfigError: The towers differ in width, ``logit_scale_init`` is above ln 100, or there is no tokenizer.
    """

    def __init__(
        self,
        vision: dict,
        text: dict,
        tokenizer: dict | None = None,
        temporal_pooling: dict | None = None,
        roi_pool: dict | None = None,
        loss_global: dict | None = None,
        loss_region: dict | None = None,
        loss_text: dict | None = None,
        loss_hard_negative: dict | None = None,
        queue: dict | None = None,
        queue_global: bool = False,
        gradient_cache: Annotated[dict, GradientCache] | None = None,
        score_head: dict | None = None,
        grounding_head: dict | None = None,
        pretrained: str | None = None,
        logit_scale_init: float | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if tokenizer is None and pretrained is None:
            raise ConfigError(
                "FGCLIP2: without pretrained it needs a tokenizer: tokenizer=dict(type='HuggingFaceTokenizer', "
                "path=FOLDER), or dict(type='CLIPTokenizer')."
            )
        super().__init__(
            vision=vision,
            text=text,
            embed_dim=vision.get('width', 768),
            tokenizer=tokenizer or dict(type='HuggingFaceTokenizer', path=pretrained),
            temporal_pooling=temporal_pooling,
            roi_pool=roi_pool,
            loss_global=loss_global or dict(type='SigmoidContrastiveLoss'),
            loss_region=loss_region or dict(type='InfoNCELoss', loss_weight=0.2),
            loss_hard_negative=loss_hard_negative,
            queue=queue,
            queue_global=queue_global,
            gradient_cache=gradient_cache,
            score_head=score_head,
            grounding_head=grounding_head,
            pretrained=pretrained,
            logit_scale_init=logit_scale_init,
            data_preprocessor=data_preprocessor or _PREPROCESSOR,
        )
        self.loss_text = MODELS.build(loss_text or dict(type='TextContrastiveLoss'))
        self._scale_is_set = logit_scale_init is not None
        self.logit_bias = nn.Parameter(torch.tensor(_SCRATCH_BIAS))
        with torch.no_grad():
            self.logit_scale.fill_(_SCRATCH_SCALE)

    def _add_projections(self, embed_dim: int) -> None:
        if self.vision.width != self.text.width:
            raise ConfigError(
                f'FGCLIP2: vision.width={self.vision.width} and text.width={self.text.width} must be equal: features '
                'of frames are compared with texts without a projection.'
            )
        self.visual_projection = nn.Identity()
        self.roi_projection = nn.Identity()
        self.text_projection = _text_head(embed_dim)
        self.text_filip_projection = None if self.text.long_context_length is None else _text_head(embed_dim)
        self.text_box_projection = _text_head(embed_dim)

    # ------------------------------------------------------------------------------------------------ life of a model

    def init_weights(self) -> None:
        """Check the tokenizer, load ``pretrained`` and log the initial temperatures.

        Raises:
            CheckpointError: The weights do not fit the towers of the config.
            ConfigError: The tokenizer does not fit the text tower.
        """
        if not self.is_init:
            self._check_tokenizer(TOKENIZERS.build(self.tokenizer_cfg))
        super().init_weights()

    def _load_pretrained(self, path_or_id: str) -> None:
        init_from_fgclip2(self, path_or_id)

    @torch.no_grad()
    def _init_logit_scales(self) -> None:
        reason = 'random weights'
        if self.pretrained is not None:
            reason = f'from {self.pretrained}; those that it lacks start at ln 100'
        if self._scale_is_set or self.pretrained is None:
            for scale in (self.logit_scale_finegrained, self.logit_scale_hardneg):
                scale.fill_(self._scale_start)
            reason += f'; regions and hard negatives: {self._scale_reason}'
        log_logit_scales(self, reason)
        MMLogger.get_current_instance().info(f'Bias of the global loss: {self.logit_bias.item():.4f}.')

    def _check_tokenizer(self, tokenizer: Any) -> None:
        """Check that a tokenizer's ids and padding are those of the text tower."""
        source = getattr(tokenizer, 'source', type(tokenizer).__name__)
        size = getattr(tokenizer, 'vocab_size', self.text.vocab_size)
        if size > self.text.vocab_size:
            raise ConfigError(
                f'FGCLIP2: the tokenizer {source} has {size} ids, but the text tower '
                f'{self.text.vocab_size}: they do not belong together. Give the tokenizer of the weights.'
            )
        pad_id = getattr(tokenizer, 'pad_id', self.text.pad_id)
        if pad_id != self.text.pad_id:
            raise ConfigError(
                f'FGCLIP2: the tokenizer {source} pads with id {pad_id}, but model.text.pad_id={self.text.pad_id}. The '
                f'text tower sees the padding: set model.text.pad_id={pad_id}.'
            )

    @torch.no_grad()
    def after_optimizer_step(self) -> None:
        """Clamp the logit scales of the softmax losses to at most 100, in place; that of the sigmoid loss is free."""
        for scale in (self.logit_scale_finegrained, self.logit_scale_hardneg):
            scale.clamp_(max=MAX_LOGIT_SCALE)

    # -------------------------------------------------------------------------------------------------------- forward

    def _encode_videos(
        self, inputs: Tensor, data_samples: list[VADDataSample], ground: bool = False, every_frame: bool = False
    ) -> dict[str, Any]:
        """As :meth:`FGCLIP._encode_videos`; videos of different sizes are encoded one by one, without their padding."""
        sizes = [self._size(sample, inputs) for sample in data_samples]
        if len(set(sizes)) == 1:
            height, width = sizes[0]
            return super()._encode_videos(inputs[..., :height, :width], data_samples, ground, every_frame)
        found = [
            super(FGCLIP2, self)._encode_videos(frames[None, ..., :height, :width], [sample], ground, every_frame)
            for frames, sample, (height, width) in zip(inputs, data_samples, sizes, strict=True)
        ]
        tensors = [name for name, value in found[0].items() if isinstance(value, Tensor)]
        joined: dict[str, Any] = {name: torch.cat([part[name] for part in found]) for name in tensors}
        joined['norms'] = tuple(map(torch.cat, zip(*(part['norms'] for part in found), strict=True)))
        joined['dense'] = [part['dense'][0] for part in found]
        return joined

    @staticmethod
    def _size(sample: VADDataSample, inputs: Tensor) -> tuple[int, int]:
        height, width = sample.get('img_shape', inputs.shape[-2:])
        return int(height), int(width)

    def _frames_of(self, frames: Tensor, sample: VADDataSample) -> Tensor:
        height, width = self._size(sample, frames)
        return frames[..., :height, :width]

    def _text_heads(self) -> dict[str, nn.Module]:
        return {**super()._text_heads(), 'box': self.text_box_projection}

    def region_path(self, tokens: Tensor) -> str:
        """Path of a region's caption or hard negative: always the path for boxes, whatever its length."""
        return 'box'

    # ----------------------------------------------------------------------------------------------------------- loss

    def _frame_scale(self) -> Tensor:
        return self.logit_scale.exp()  # a bias would cancel in the difference of abnormal and normal prompts

    def _global_logit(self) -> dict[str, Tensor]:
        return {**super()._global_logit(), 'logit_bias': self.logit_bias}

    def _text_losses(self, caption_re: Tensor, region_valid: Tensor) -> dict[str, Tensor]:
        rows = to_device(region_valid.nonzero()[:, 0], caption_re.device)
        return {'loss_text': self.loss_text(caption_re[rows])}


def _text_head(width: int) -> nn.Linear:
    layer = nn.Linear(width, width)
    nn.init.normal_(layer.weight, std=width**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
