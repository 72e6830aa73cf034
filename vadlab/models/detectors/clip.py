# Shapes: b videos, t frames, d embedding channels.
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.clip_loading import init_from_clip
from ..data_preprocessors.vad_data_preprocessor import WaitingVideos
from ..layers.gather import world_size
from ..layers.gradient_cache import GradientCache
from ..layers.host_copy import to_device
from ..layers.logit_scale import log_logit_scales, new_logit_scale, scale_of
from ..losses.info_nce_loss import caption_ids


@MODELS.register_module()
class CLIP(BaseModel):
    """CLIP: contrastive training on images and captions, to pre-train a small CLIP for FG-CLIP.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, arXiv:2103.00020. An
    image is a video of one frame here; with several frames, the projected features are averaged. Unlike in the paper,
    equal captions in a batch are not negatives of each other, because captions of a simulator repeat.

    ::

        frames  -> vision -> visual_projection -> mean over t -> normalise \
                                                                            contrast -> loss_contrast
        caption -> text   -> text_projection   ->                normalise /

    Towers, projections and temperature have the same names as in FGCLIP, so weights of one load into the other.

    Args:
        vision (dict): Config of the vision tower, :class:`CLIPVisionTransformer`.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`.
        embed_dim (int): Channels of the joint space.
        loss (dict): Config of the contrastive loss.
        gradient_cache (dict | None): Options of the :class:`GradientCache`: ``contrast_batch`` and ``chunk``; None to
            encode the whole batch at once.
        pretrained (str | None): Weights to start training from: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads.
        data_preprocessor (dict | None): Config of the data preprocessor.
    """

    def __init__(
        self,
        vision: dict,
        text: dict,
        embed_dim: int = 512,
        loss: dict | None = None,
        gradient_cache: Annotated[dict, GradientCache] | None = None,
        pretrained: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.vision = MODELS.build(vision)
        self.text = MODELS.build(text)
        self.visual_projection = nn.Linear(self.vision.width, embed_dim, bias=False)
        self.text_projection = nn.Linear(self.text.width, embed_dim, bias=False)
        nn.init.normal_(self.visual_projection.weight, std=self.vision.width**-0.5)
        nn.init.normal_(self.text_projection.weight, std=self.text.width**-0.5)
        self.logit_scale = new_logit_scale()
        self.loss_contrast = MODELS.build(loss or dict(type='InfoNCELoss'))
        self.gradient_cache = GradientCache.of(gradient_cache, self.data_preprocessor)
        self._is_checked = False
        self.pretrained = pretrained

    def init_weights(self) -> None:
        """Load ``pretrained`` and log the initial temperature; the Runner calls it before training."""
        if self.is_init:
            return
        self._is_init = True  # parts are already initialised; BaseModel's method would log every parameter
        if self.pretrained is not None:
            init_from_clip(self, self.pretrained)
        else:
            log_logit_scales(self, 'random weights, ln(1 / 0.07)')

    def forward(
        self, inputs: Tensor, data_samples: list[VADDataSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Any] | list[VADDataSample]:
        """Encode, compute the loss, or predict.

        Args:
            inputs (Tensor): Normalised frames, shape (b, t, 3, height, width).
            data_samples (list[VADDataSample] | None): One per video, with ``gt_caption_tokens``; optional for
                ``tensor``.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            dict | list: ``tensor``: video_embed and, with data samples, caption_embed, L2-normalised, shape (b, d).
            ``loss``: loss_contrast, and for the log the top-1 retrieval accuracy in the rank's batch (acc_contrast),
            the maximum number of negatives of an image (image_negatives) and the logit scale.
            ``predict``: the data samples with pred_video_embed and pred_caption_embed.
        """
        if mode == 'tensor':
            embeds = {'video_embed': self.embed_frames(inputs)}
            if data_samples is not None:
                embeds['caption_embed'] = self.embed_captions([s.gt_caption_tokens for s in data_samples])
            return embeds
        if mode not in ('loss', 'predict'):
            raise ValueError(f'CLIP: mode={mode!r} is not one of tensor, loss, predict.')
        if data_samples is None:
            raise ValueError(f'CLIP: mode={mode!r} needs data_samples.')
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def loss(self, inputs: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Contrastive loss of a batch; see :meth:`forward`.

        Raises:
            ConfigError: The batch has only one pair, and so no negatives.
        """
        if len(inputs) * world_size() < 2:
            raise ConfigError('CLIP: one pair per batch has no negatives; set batch_size to 2 or more.')
        if self.gradient_cache is not None and not self._is_checked:
            self.gradient_cache.check_batch(len(inputs))
        self._is_checked = True
        tokens = [s.gt_caption_tokens for s in data_samples]
        video_bd, caption_bd = self._embed_batch(inputs, tokens)
        ids = to_device(caption_ids(tokens), video_bd.device)
        scale = scale_of(self.logit_scale)
        with torch.no_grad():
            found = ids[(video_bd @ caption_bd.T).argmax(1)] == ids
        return {
            'loss_contrast': self.loss_contrast(video_bd, caption_bd, scale, group_ids=ids),
            'acc_contrast': found.float().mean(),
            'image_negatives': torch.tensor(float(len(ids) * world_size() - 1)),
            'logit_scale': scale.detach(),
        }

    def _embed_batch(self, inputs: Tensor | WaitingVideos, tokens: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings of videos and captions, chunk by chunk with a gradient cache."""
        cache, device = self.gradient_cache, self.logit_scale.device
        if cache is None:
            return self.embed_frames(inputs[:]), self.embed_captions(tokens)
        (video_bd,) = cache.over_samples(lambda i, j: (self.embed_frames(inputs[i:j]),), len(inputs), device)
        paths = ['short'] * len(tokens)
        caption_bd = cache.over_texts(lambda some, _: self.embed_captions(some), tokens, paths, len(inputs), device)
        return video_bd, caption_bd

    def predict(self, inputs: Tensor, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Write embeddings to the samples; see :meth:`forward`."""
        video_bd = self.embed_frames(inputs)
        caption_bd = self.embed_captions([s.gt_caption_tokens for s in data_samples])
        for sample, video_d, caption_d in zip(data_samples, video_bd, caption_bd, strict=True):
            sample.pred_video_embed = video_d
            sample.pred_caption_embed = caption_d
        return data_samples

    def embed_frames(self, inputs: Tensor) -> Tensor:
        """Embed videos of t frames, shape (b, t, 3, height, width), as unit vectors, float32, shape (b, d)."""
        features, _ = self.vision(inputs.flatten(0, 1))
        embeds_btd = self.visual_projection(features).float().unflatten(0, inputs.shape[:2])
        return F.normalize(embeds_btd.mean(1), dim=-1)

    def embed_captions(self, tokens: list[Tensor]) -> Tensor:
        """Embed captions as unit vectors, float32, shape (b, d); too long captions are cut and keep their end id."""
        limit = self.text.context_length
        cut = [t if len(t) <= limit else torch.cat([t[: limit - 1], t[-1:]]) for t in tokens]
        return F.normalize(self.text_projection(self.text(cut)).float(), dim=-1)
