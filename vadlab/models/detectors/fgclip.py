"""FG-CLIP for video anomaly detection, in the paper's order.

Shape suffixes: b videos, t sampled frames, r regions of all videos in the batch, d channels of the tower, e of the
joint space, k texts, n candidates (a caption and its hard negatives).
"""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..checkpoints.clip_loading import init_from_clip
from ..data_preprocessors.vad_data_preprocessor import WaitingVideos
from ..heads.prompt_scoring_head import PromptScoringHead, to_every_frame, tokenize_prompts
from ..layers.gather import any_rank, gather_rows, world_size
from ..layers.gradient_cache import GradientCache
from ..layers.host_copy import to_device
from ..layers.logit_scale import MAX_LOGIT_SCALE, SCRATCH_LOGIT_SCALE, log_logit_scales, new_logit_scale, scale_of
from ..layers.weights_cache import WeightsCache
from ..losses.info_nce_loss import caption_ids

NO_NEGATIVES = (
    'FGCLIP: one video per batch, one rank, and no queue: the contrastive losses have no negatives, would be zero, and '
    'nothing would be learnt. Set batch_size=2 or more (gradient accumulation adds no negatives), use more '
    "ranks, or model.queue=dict(type='NegativeQueue')."
)


@MODELS.register_module()
class FGCLIP(BaseModel):
    """FG-CLIP: contrastive training on videos and regions, to predict when, what and where.

    Xie et al., "FG-CLIP: Fine-Grained Visual and Textual Alignment", 2025, arXiv:2505.05071
    (github.com/360CVGroup/FG-CLIP), extended from images to videos: frame features are averaged, and a region is a
    track with one box per frame. Beyond the paper: a queue of past pairs, because a batch of videos is small; equal
    captions are not negatives of each other; ``roi_projection`` starts from ``visual_projection`` and is trained
    separately.

    ::

        frames (b,t) -> vision -+- CLS -> visual_projection -+-> mean over t -------------> video   <-global-> caption
                                |                            +-> against prompts ---------> logit of every frame
                                +- dense (frames with a box) -> RoIAlign, one box per frame
                                      -> mean over frames with a box -> roi_projection -> region <-region-> caption
                                                                                                 <-hard---> negatives
        caption, up to 77 tokens -> text, short positions -> text_projection
        caption, longer          -> text, long positions  -> text_filip_projection

    Args:
        vision (dict): Config of the vision tower, :class:`CLIPVisionTransformer`.
        text (dict): Config of the text tower, :class:`CLIPTextTransformer`.
        embed_dim (int): Channels e of the joint space.
        tokenizer (dict | None): Config of the tokenizer of the score prompts; CLIPTokenizer by default.
        temporal_pooling (dict | None): Config of the pooling of frames to a video; MeanTemporalPooling by default.
        roi_pool (dict | None): Config of the pooling of boxes to features; TrackRoIPool by default.
        loss_global (dict | None): Config of the loss of videos and captions; InfoNCELoss by default.
        loss_region (dict | None): Config of the loss of regions and captions; InfoNCELoss with weight 0.1 by default.
        loss_hard_negative (dict | None): Config of the loss of regions and hard negatives, such as HardNegativeLoss;
            None for no such loss.
        queue (dict | None): Config of the :class:`NegativeQueue` of past pairs (``embed_dim`` is set automatically);
            None for no queue. It adds negatives to the region loss, and to the global loss of batches with one video.
        queue_global (bool): Use the queue in the global loss of every batch.
        gradient_cache (dict | None): Options of the :class:`GradientCache`: ``contrast_batch`` and ``chunk``; None to
            encode the whole batch at once.
        score_head (dict | None): Config of :class:`PromptScoringHead` (classes, prompts); None for no frame scores.
        grounding_head (dict | None): Config of :class:`GroundingHead` (proposals); None for no boxes.
        pretrained (str | None): Weights to start training from: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads.
        logit_scale_init (float | None): Initial value of the three log temperatures, at most ln 100. By default ln 100
            with pretrained weights, ln(1 / 0.07) without.
        data_preprocessor (dict | None): Config of the data preprocessor; VADDataPreprocessor by default.

    Raises:
        ConfigError: ``logit_scale_init`` is above ln 100.
    """

    def __init__(
        self,
        vision: dict,
        text: dict,
        embed_dim: int = 512,
        tokenizer: dict | None = None,
        temporal_pooling: dict | None = None,
        roi_pool: dict | None = None,
        loss_global: dict | None = None,
        loss_region: dict | None = None,
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
        if not isinstance(data_preprocessor, nn.Module):  # MMEngine's registry may not find VADLab's
            data_preprocessor = MODELS.build(data_preprocessor or dict(type='VADDataPreprocessor'))
        super().__init__(data_preprocessor=data_preprocessor)
        self.vision = MODELS.build(vision)
        self.text = MODELS.build(text)
        self._add_projections(embed_dim)

        self.temporal_pooling = MODELS.build(temporal_pooling or dict(type='MeanTemporalPooling'))
        self.roi_pool = MODELS.build(roi_pool or dict(type='TrackRoIPool'))
        self.region_pooling = MODELS.build(dict(type='MaskedMeanTemporalPooling'))

        self.loss_global = MODELS.build(loss_global or dict(type='InfoNCELoss'))
        self.loss_region = MODELS.build(loss_region or dict(type='InfoNCELoss', loss_weight=0.1))
        self.loss_hard_negative = None if loss_hard_negative is None else MODELS.build(loss_hard_negative)
        self.queue_region: nn.Module | None = None
        self.queue_global: nn.Module | None = None
        if queue is not None:
            defaults = dict(type='NegativeQueue', embed_dim=embed_dim)
            self.queue_region = MODELS.build({**defaults, 'name': 'queue of regions', **queue})
            who = 'queue of videos' if queue_global else 'queue of videos (for batches of a single one)'
            self.queue_global = MODELS.build({**defaults, 'name': who, **queue})
        self.queue_serves_every_batch = queue_global
        self.gradient_cache = GradientCache.of(gradient_cache, self.data_preprocessor)
        self._has_negatives = False
        self.collect_diagnostics = False
        self._diagnostics: dict[str, Tensor] = {}

        self.score_head: PromptScoringHead | None = None if score_head is None else MODELS.build(score_head)
        self._own_head = self.score_head  # of the config; use_prompts replaces score_head
        self.grounding_head = None if grounding_head is None else MODELS.build(grounding_head)
        self.tokenizer_cfg = tokenizer or dict(type='CLIPTokenizer')
        self._prompts = WeightsCache[Tensor]()

        if logit_scale_init is not None and logit_scale_init > MAX_LOGIT_SCALE:
            raise ConfigError(f'FGCLIP: logit_scale_init={logit_scale_init} is above ln 100 = {MAX_LOGIT_SCALE:.4f}.')
        self.pretrained = pretrained
        if logit_scale_init is not None:
            start, self._scale_reason = logit_scale_init, 'logit_scale_init of the config'
        elif pretrained is not None:
            start, self._scale_reason = MAX_LOGIT_SCALE, f'ln 100, for pretrained weights ({pretrained})'
        else:
            start, self._scale_reason = SCRATCH_LOGIT_SCALE, 'ln(1 / 0.07), for random weights'
        self._scale_start = start
        self.logit_scale = new_logit_scale(start)
        self.logit_scale_finegrained = new_logit_scale(start)
        self.logit_scale_hardneg = new_logit_scale(start)

    def _add_projections(self, embed_dim: int) -> None:
        """Create the layers from the towers to the joint space."""
        self.visual_projection = _projection(self.vision.width, embed_dim)
        self.roi_projection = _projection(self.vision.width, embed_dim)
        self.text_projection = _projection(self.text.width, embed_dim)
        self.text_filip_projection: nn.Linear | None = None
        if self.text.long_context_length is not None:
            self.text_filip_projection = _projection(self.text.width, embed_dim)

    # ------------------------------------------------------------------------------------------------ life of a model

    def init_weights(self) -> None:
        """Load ``pretrained`` and log the initial temperatures; the Runner calls it before training.

        Raises:
            CheckpointError: The weights do not fit the towers of the config.
        """
        if self.is_init:
            return
        self._is_init = True  # layers are already initialised; MMEngine's pass would log every parameter
        if self.pretrained is not None:
            self._load_pretrained(self.pretrained)
        self._init_logit_scales()

    def _load_pretrained(self, path_or_id: str) -> None:
        init_from_clip(self, path_or_id, logit_scales=False)

    @torch.no_grad()
    def _init_logit_scales(self) -> None:
        for scale in (self.logit_scale, self.logit_scale_finegrained, self.logit_scale_hardneg):
            scale.fill_(self._scale_start)
        log_logit_scales(self, self._scale_reason)

    def check_negatives(self, batch_size: int, world_size: int = 1) -> None:
        """Check before training that the contrastive losses have negatives.

        Args:
            batch_size (int): Videos per batch of one rank, > 0.
            world_size (int): Number of ranks, > 0.

        Raises:
            ConfigError: There would be no negatives.
        """
        if batch_size * world_size < 2 and self.queue_region is None:
            raise ConfigError(NO_NEGATIVES)
        if self.gradient_cache is not None:
            self.gradient_cache.check_batch(batch_size)
        self._has_negatives = True

    @torch.no_grad()
    def after_optimizer_step(self) -> None:
        """Clamp the logit scales to at most 100, in place, without a synchronisation with the device."""
        for scale in (self.logit_scale, self.logit_scale_finegrained, self.logit_scale_hardneg):
            scale.clamp_(max=MAX_LOGIT_SCALE)

    # -------------------------------------------------------------------------------------------------------- forward

    def forward(
        self, inputs: Tensor, data_samples: list[VADDataSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[VADDataSample]:
        """Encode, compute the losses, or predict.

        Args:
            inputs (Tensor): Normalised frames, shape (b, t, 3, height, width).
            data_samples (list[VADDataSample] | None): One per video, annotations on the CPU; optional for ``tensor``.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            dict | list: ``tensor``: frame_embeds (b, t, e) and video_embeds (b, e), L2-normalised. ``loss``:
            loss_global, loss_region and loss_hard_negative, if configured; and for the log video_negatives and
            region_negatives, the maximum number of negatives of a video and of a region. ``predict``: the data samples
            with their ``pred_*`` fields, on the CPU.
        """
        if mode == 'tensor':
            encoded = self._encode_videos(inputs, data_samples or [VADDataSample() for _ in inputs])
            return {name: encoded[name] for name in ('frame_embeds', 'video_embeds')}
        if mode not in ('loss', 'predict'):
            raise ValueError(f'FGCLIP: mode={mode!r} is not one of tensor, loss, predict.')
        if data_samples is None or len(data_samples) != len(inputs):
            raise ValueError(f'FGCLIP: mode={mode!r} needs one data sample for each of {len(inputs)} videos.')
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def _encode_videos(
        self, inputs: Tensor, data_samples: list[VADDataSample], ground: bool = False, every_frame: bool = False
    ) -> dict[str, Any]:
        """Unit embeddings of frames, videos and regions; dense features only of the frames that need them."""
        b, t = inputs.shape[:2]
        boxes, valid = _boxes(data_samples, t)
        dense_mask = torch.stack([v.any(dim=0) for v in valid])
        if ground:  # regions are searched in every frame of their video
            dense_mask = dense_mask | torch.tensor([len(v) > 0 for v in valid])[:, None]
        if every_frame:
            dense_mask = torch.ones_like(dense_mask)

        cls_d, dense = self.vision(inputs.flatten(0, 1), dense_mask.flatten())
        frames_bte = self.visual_projection(cls_d).unflatten(0, (b, t))
        video_be = self.temporal_pooling(frames_bte)

        regions_rtd = self.roi_pool(dense, dense_mask, boxes, valid)
        valid_rt = torch.cat(valid)
        region_rd, _ = self.region_pooling(regions_rtd, to_device(valid_rt, regions_rtd.device))
        # RoIAlign and the mean are linear, so projecting last is exact and needs only r vectors instead of all patches.
        region_re = self.roi_projection(region_rd)
        return dict(
            frame_embeds=_unit(frames_bte),
            video_embeds=_unit(video_be),
            region_embeds=_unit(region_re),
            region_valid=valid_rt.any(dim=1),
            norms=(video_be.detach().norm(dim=-1), region_re.detach().norm(dim=-1)),
            dense=dense.split(dense_mask.sum(dim=1).tolist()),
        )

    def _encode_batch(self, inputs: Tensor | WaitingVideos, data_samples: list[VADDataSample]) -> dict[str, Any]:
        """What the losses need of :meth:`_encode_videos`, chunk by chunk with a gradient cache."""
        if self.gradient_cache is None:
            return self._encode_videos(inputs[:], data_samples)

        def encode(start: int, stop: int) -> tuple[Tensor, ...]:
            seen = self._encode_videos(inputs[start:stop], data_samples[start:stop])
            return (seen['video_embeds'], seen['region_embeds'], *seen['norms'])

        device = self.logit_scale.device
        video_be, region_re, *norms = self.gradient_cache.over_samples(encode, len(inputs), device)
        valid = [mask.any(dim=1) for mask in _boxes(data_samples, 1)[1]]
        return dict(video_embeds=video_be, region_embeds=region_re, region_valid=torch.cat(valid), norms=tuple(norms))

    def encode_texts(self, tokens: Sequence[Tensor], paths: Sequence[str] | None = None) -> Tensor:
        """Embed texts as unit vectors.

        Args:
            tokens (Sequence[Tensor]): Token ids of k texts, with start and end id, unpadded, int64, shape (l_k,) each.
            paths (Sequence[str] | None): Path of each text through the tower; by default that of :meth:`caption_path`.
                Texts that are too long for their path are cut and keep their end id.

        Returns:
            Tensor: float32, shape (k, e).
        """
        paths = [self.caption_path(t) for t in tokens] if paths is None else paths
        parts, order = [], []
        for path, projection in self._text_heads().items():
            rows = [i for i, choice in enumerate(paths) if choice == path]
            if path != 'short' and not rows:
                continue
            limit = self.text.long_context_length if path == 'long' else self.text.context_length
            states = self.text([_cut(tokens[i], limit) for i in rows], long=path == 'long')
            parts.append(_unit(projection(states)))
            order += rows
        out_ke = torch.cat(parts)
        if len(parts) == 1:
            return out_ke
        return out_ke[to_device(torch.tensor(order).argsort(), out_ke.device)]

    def _text_heads(self) -> dict[str, nn.Module]:
        """The projection of each path through the text tower."""
        heads = {'short': self.text_projection, 'long': self.text_filip_projection}
        return {path: head for path, head in heads.items() if head is not None}

    def _idle_parameters(self, paths: set[str]) -> list[nn.Parameter]:
        """Parameters that the losses of a batch do not use, when its texts take the given paths."""
        idle = [] if self.loss_hard_negative is not None else [self.logit_scale_hardneg]
        for path, head in self._text_heads().items():
            if path not in paths and path != 'short':
                idle += head.parameters()
        if 'long' not in paths and self.text.positional_embedding_long is not None:
            idle.append(self.text.positional_embedding_long)
        return idle

    def caption_path(self, tokens: Tensor) -> str:
        """Path of a video's caption: ``long`` if it is too long for the short positions and there are long ones."""
        has_long = self.text.long_context_length is not None
        return 'long' if has_long and len(tokens) > self.text.context_length else 'short'

    def region_path(self, tokens: Tensor) -> str:
        """Path of a region's caption or hard negative."""
        return self.caption_path(tokens)

    # ----------------------------------------------------------------------------------------------------------- loss

    def loss(self, inputs: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms of a batch; see :meth:`forward`.

        Raises:
            ConfigError: There are no negatives (see :meth:`check_negatives`).
        """
        lone = len(inputs) * world_size() == 1
        if not self._has_negatives:  # only once: the last batch of an epoch may be a single video
            self.check_negatives(len(inputs), world_size())
        seen = self._encode_batch(inputs, data_samples)
        video_be, region_re, region_valid = seen['video_embeds'], seen['region_embeds'], seen['region_valid']

        # All texts go through the tower together, which encodes each distinct text once.
        captions = [sample.gt_caption_tokens.cpu() for sample in data_samples]
        regions = [tokens for sample in data_samples for tokens in _region_field(sample, 'tokens')]
        negatives = [texts for sample in data_samples for texts in _region_field(sample, 'negative_tokens')]
        if self.loss_hard_negative is None:
            negatives = [[] for _ in regions]
        of_regions = [*regions, *chain(*negatives)]
        # A long caption needs negatives with long positions, so the whole batch of all ranks is also encoded with them.
        any_long = any(self.caption_path(t) == 'long' for t in captions)
        again = captions if 'long' in self._text_heads() and any_rank(any_long, video_be.device) else []
        paths = ['short'] * len(captions) + [self.region_path(t) for t in of_regions] + ['long'] * len(again)
        texts = [*captions, *of_regions, *again]
        if self.gradient_cache is None:
            embeds_ke = self.encode_texts(texts, paths)
        else:
            embeds_ke = self.gradient_cache.over_texts(self.encode_texts, texts, paths, len(inputs), video_be.device)
        sizes = [len(captions), len(regions), sum(map(len, negatives)), len(again)]
        caption_be, region_caption_re, negative_ke, long_be = embeds_ke.split(sizes)

        losses = {}
        losses['loss_global'], rivals = self._global_loss(video_be, caption_be, long_be, captions, lone)
        losses['loss_region'], compared = self._region_loss(region_re, region_caption_re, region_valid, regions)
        if self.loss_hard_negative is not None:
            counts = [len(texts) for texts in negatives]
            candidates_rne, valid_rn = _pack_candidates(region_caption_re, negative_ke, counts, region_valid)
            ids = (to_device(caption_ids(list(t))[:, None], region_re.device) for t in (regions, chain(*negatives)))
            ids_rn1, _ = _pack_candidates(next(ids), next(ids), counts, region_valid)
            losses['loss_hard_negative'] = self.loss_hard_negative(
                region_re, candidates_rne, valid_rn, scale_of(self.logit_scale_hardneg), text_ids=ids_rn1[..., 0]
            )
        losses |= self._text_losses(region_caption_re, region_valid)
        # A gradient of zero instead of none, so that DistributedDataParallel need not search for unused parameters.
        idle = [parameter.sum() for parameter in self._idle_parameters(set(paths))]
        losses['loss_global'] = losses['loss_global'] + 0 * sum(idle)
        if self.collect_diagnostics:
            self._note(seen, caption_be, region_caption_re)
        counts_of = dict(video_negatives=rivals, region_negatives=compared)
        return losses | {name: torch.tensor(float(count)) for name, count in counts_of.items()}

    def _global_loss(
        self, video_be: Tensor, caption_be: Tensor, long_be: Tensor, captions: list[Tensor], lone: bool
    ) -> tuple[Tensor, int]:
        """Loss of videos and short captions, plus that of long captions if there are any; and number of negatives."""
        ids = to_device(caption_ids(captions), video_be.device)
        logit = self._global_logit()
        extra = {}
        if self.queue_global is not None and (lone or self.queue_serves_every_batch):
            extra = self.queue_global.negatives()
        loss = self.loss_global(video_be, caption_be, **logit, group_ids=ids, **extra)
        if len(long_be):
            loss = loss + self.loss_global(video_be, long_be, **logit, group_ids=ids)
        if self.queue_global is not None and self.training:
            self.queue_global.enqueue(*(gather_valid(x) for x in (video_be, caption_be, ids)))
        return loss, max(len(ids) * world_size() - 1, 0) + len(extra.get('extra_keys', ()))

    def _global_logit(self) -> dict[str, Tensor]:
        """Arguments of the global loss that turn cosine similarities into logits."""
        return dict(logit_scale=self._frame_scale())

    def _text_losses(self, caption_re: Tensor, region_valid: Tensor) -> dict[str, Tensor]:
        """Losses among the captions of regions; none in FG-CLIP."""
        return {}

    def _frame_scale(self) -> Tensor:
        """Factor of the cosine similarities of frames and prompts."""
        return scale_of(self.logit_scale)

    def _region_loss(
        self, region_re: Tensor, caption_re: Tensor, region_valid: Tensor, regions: list[Tensor]
    ) -> tuple[Tensor, int]:
        """Loss of regions and their captions, and the number of negatives in the queue and the batch."""
        # Indices on the host: indexing with a mask on the device needs a synchronisation.
        rows = region_valid.nonzero()[:, 0]
        ids = to_device(caption_ids([regions[i] for i in rows.tolist()]), region_re.device)
        rows = to_device(rows, region_re.device)
        region_re, caption_re = region_re[rows], caption_re[rows]
        extra = self.queue_region.negatives() if self.queue_region is not None else {}
        scale = scale_of(self.logit_scale_finegrained)
        loss = self.loss_region(region_re, caption_re, scale, group_ids=ids, **extra)
        compared = max(len(ids) * world_size() - 1, 0) + len(extra.get('extra_keys', ()))
        if self.queue_region is not None and self.training:
            self.queue_region.enqueue(*(gather_valid(x) for x in (region_re, caption_re, ids)))
        return loss, compared

    @torch.no_grad()
    def _note(self, seen: dict[str, Any], caption_be: Tensor, region_caption_re: Tensor) -> None:
        rows = seen['region_valid'].nonzero()[:, 0].to(caption_be.device)
        found: dict[str, Tensor] = {}
        for name, x, y, norms, scale in (
            ('global', seen['video_embeds'], caption_be, seen['norms'][0], self.logit_scale),
            (
                'region',
                seen['region_embeds'][rows],
                region_caption_re[rows],
                seen['norms'][1][rows],
                self.logit_scale_finegrained,
            ),
        ):
            logits = scale.exp() * x @ y.T
            own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
            for kind, values in (('positives', logits[own]), ('negatives', logits[~own])):
                if len(values):
                    found[f'{name}/{kind}_min'], found[f'{name}/{kind}_max'] = values.aminmax()
                    found[f'{name}/{kind}_mean'] = values.mean()
            if len(norms):
                found[f'{name}/norm_mean'] = norms.mean()
                found[f'{name}/norm_near_zero'] = (norms < 1e-3).float().mean()
        self._diagnostics = found

    def diagnostics(self) -> dict[str, float]:
        """Diagnostics of the last loss with ``collect_diagnostics`` on; reading them synchronises with the device.

        Returns:
            dict[str, float]: For ``global`` and ``region``: min, mean and max of the logits of positives and of
            negatives in this rank's batch, the mean norm before normalisation and the share of norms below 0.001; fill
            and pointer of each queue.
        """
        found = {name: value.item() for name, value in self._diagnostics.items()}
        for name, queue in (('queue_region', self.queue_region), ('queue_global', self.queue_global)):
            if queue is not None:
                found[f'{name}/fill'], found[f'{name}/pointer'] = float(queue.fill), float(queue.pointer)
        return found

    # -------------------------------------------------------------------------------------------------------- predict

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Predict when (frame scores), what (embeddings) and where (boxes of regions); see :meth:`forward`."""
        by_cells = self.score_head is not None and self.score_head.cells > 0
        seen = self._encode_videos(inputs, data_samples, self.grounding_head is not None, every_frame=by_cells)
        if self.score_head is not None:
            if by_cells:
                found = [self.score_embeds(self._best_cells(dense)) for dense in seen['dense']]
                logits_bt, classes_btc = (torch.stack(parts).cpu() for parts in zip(*found, strict=True))
            else:
                prompts_ke = self._prompts.get(self._encode_prompts)
                scored = self.score_head(seen['frame_embeds'], prompts_ke, self._frame_scale())
                logits_bt, classes_btc = (part.cpu() for part in scored)
            names = self.score_head.classes
            about = {'names': names, 'normal': names.index(self.score_head.normal_class)}
            for sample, logits_t, classes_tc in zip(data_samples, logits_bt, classes_btc, strict=True):
                frame_inds = sample.get('frame_inds', range(len(logits_t)))
                sample.pred_frame_classes = InstanceData(
                    metainfo=about, frame_inds=np.asarray(frame_inds, np.int64), scores=classes_tc
                )
                total = sample.get('total_frames', len(logits_t))
                sample.pred_logits = to_every_frame(logits_t, frame_inds, total)
                sample.pred_scores = sample.pred_logits.sigmoid()
                if self.score_head.video_reference:
                    sample.set_metainfo({'score_normalisation': 'video_reference'})
        for sample, video_e in zip(data_samples, seen['video_embeds'].cpu(), strict=True):
            sample.pred_video_embed = video_e
        captioned = [sample for sample in data_samples if 'gt_caption_tokens' in sample]
        if captioned:
            embeds_ke = self.encode_texts([sample.gt_caption_tokens.cpu() for sample in captioned]).cpu()
            for sample, caption_e in zip(captioned, embeds_ke, strict=True):
                sample.pred_caption_embed = caption_e
        self._predict_regions(inputs, data_samples, seen)
        return data_samples

    def _predict_regions(self, inputs: Tensor, data_samples: list[VADDataSample], seen: dict[str, Any]) -> None:
        tokens = [tokens for sample in data_samples for tokens in _region_field(sample, 'tokens')]
        captions_re = self.encode_texts(tokens, [self.region_path(t) for t in tokens])
        counts = [len(_region_field(sample, 'tokens')) for sample in data_samples]
        embeds_of, captions_of = seen['region_embeds'].split(counts), captions_re.split(counts)
        for i, sample in enumerate(data_samples):
            if 'gt_regions' not in sample:
                continue
            found = InstanceData(embeds=embeds_of[i].cpu(), caption_embeds=captions_of[i].cpu())
            if self.grounding_head is not None and counts[i]:
                pixels = self.data_preprocessor.to_pixels(self._frames_of(inputs[i], sample))
                boxes, scores = self.grounding_head(seen['dense'][i], pixels, self.roi_projection, captions_of[i])
                found.boxes_xyxyn, found.box_scores = boxes.cpu(), scores.cpu()
            sample.pred_regions = found

    def _frames_of(self, frames: Tensor, sample: VADDataSample) -> Tensor:
        """Frames of a video as they lie in the batch, without padding, shape (t, 3, height, width)."""
        return frames

    # ------------------------------------------------------------------- frame by frame, for videos of any length

    def use_prompts(self, prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        """Score frames by other prompts than those of the config, until the next call.

        Args:
            prompts (Sequence[str] | None): What is looked for, in words; None for the classes of the config.
            negatives (Sequence[str] | None): What counts as normal; None for the config's phrases.

        Raises:
            ConfigError: The config has no score_head, a prompt cannot be used, or there are negatives although the
                score_head scores cells.
        """
        if self._own_head is None:
            raise ConfigError('FGCLIP: this config has no score_head, so it has no frame scores.')
        if self._own_head.cells and negatives is not None:
            raise ConfigError('Prompts: this config scores cells, which are not compared with negatives. Give none.')
        head = self._own_head if prompts is None else self._own_head.with_prompts(prompts, negatives)
        if prompts is not None:
            tokenize_prompts(head, TOKENIZERS.build(self.tokenizer_cfg).encode, self.text.context_length)
        self.score_head, self._prompts = head, WeightsCache[Tensor]()

    def embed_frames(self, inputs: Tensor) -> Tensor:
        """Embed frames of any videos as unit vectors.

        Args:
            inputs (Tensor): Normalised frames, shape (n, 3, height, width).

        Returns:
            Tensor: float32, shape (n, e); if ``score_head`` scores cells, instead the cosines of the frames' best cells
            with its k phrases, shape (n, k).
        """
        if self.score_head is None or not self.score_head.cells:
            return _unit(self.visual_projection(self.vision(inputs)[0]))
        return self._best_cells(self.vision(inputs, torch.ones(len(inputs), dtype=torch.bool))[1])

    def _best_cells(self, dense_tdhw: Tensor) -> Tensor:
        """Cosines of the best cells of frames with each phrase, shape (t, k)."""
        assert self.score_head is not None
        return self.score_head.of_cells(dense_tdhw, self.roi_projection, self._prompts.get(self._encode_prompts))

    def score_embeds(self, frame_embeds: Tensor) -> tuple[Tensor, Tensor]:
        """Score all sampled frames of one video, as :meth:`predict` does.

        Args:
            frame_embeds (Tensor): Output of :meth:`embed_frames`, in order of time, shape (t, e) or (t, k).

        Returns:
            tuple[Tensor, Tensor]: Logits, shape (t,); probabilities of the classes of ``score_head``, shape (t, c).
        """
        assert self.score_head is not None
        if self.score_head.cells:
            scale = scale_of(self.logit_scale_finegrained)
            return self.score_head.score_cells(frame_embeds.to(scale.device), scale)
        prompts_ke, scale = self._prompts.get(self._encode_prompts), self._frame_scale()
        logits_1t, classes_1tc = self.score_head(frame_embeds[None].to(prompts_ke.device), prompts_ke, scale)
        return logits_1t[0], classes_1tc[0]

    def embed_grid(self, inputs: Tensor) -> Tensor:
        """Embed the cells of the patch grid of frames in the space of regions, not normalised.

        Args:
            inputs (Tensor): Normalised frames, shape (n, 3, height, width).

        Returns:
            Tensor: float32, shape (n, e, h, w).
        """
        _, dense_ndhw = self.vision(inputs, torch.ones(len(inputs), dtype=torch.bool))
        return self.roi_projection(dense_ndhw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).float()

    def embed_phrases(self, phrases: Sequence[str]) -> Tensor:
        """Embed phrases in the templates of ``score_head`` as unit vectors, float32, shape (k, e).

        Raises:
            ConfigError: A phrase is too long.
        """
        assert self._own_head is not None
        head = self._own_head.with_prompts(phrases, ['nothing'])
        tokens = tokenize_prompts(head, TOKENIZERS.build(self.tokenizer_cfg).encode, self.text.context_length)
        return head.ensemble(self.encode_texts(tokens, [self.region_path(t) for t in tokens]))[
            1:
        ]  # the first is the negative one

    def _encode_prompts(self) -> Tensor:
        """One unit vector per score prompt, shape (k, e)."""
        assert self.score_head is not None
        encode = TOKENIZERS.build(self.tokenizer_cfg).encode
        tokens = [torch.tensor(encode(text, self.text.context_length)) for text in self.score_head.texts]
        return self.score_head.ensemble(self.encode_texts(tokens))


# --------------------------------------------------------------------------------------------------------------- parts


def gather_valid(tensor: Tensor) -> Tensor:
    """Rows of all ranks in rank order, detached and without padding."""
    rows, is_row = gather_rows(tensor.detach())
    return rows if is_row is None else rows[is_row]


def _projection(width: int, embed_dim: int) -> nn.Linear:
    layer = nn.Linear(width, embed_dim, bias=False)
    nn.init.normal_(layer.weight, std=width**-0.5)
    return layer


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=-1)


def _cut(tokens: Tensor, limit: int) -> Tensor:
    return tokens if len(tokens) <= limit else torch.cat([tokens[: limit - 1], tokens[-1:]])


def _region_field(sample: VADDataSample, name: str) -> list:
    regions = sample.get('gt_regions')
    if regions is None or len(regions) == 0:
        return []
    values = regions.get(name)
    return list(values) if values is not None else [[] for _ in range(len(regions))]


def _boxes(data_samples: list[VADDataSample], n_frames: int) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes (r_b, t, 4) and masks (r_b, t) of each video, on the CPU."""
    boxes, valid = [], []
    for sample in data_samples:
        regions = sample.get('gt_regions')
        if regions is None or len(regions) == 0:
            boxes.append(torch.zeros(0, n_frames, 4))
            valid.append(torch.zeros(0, n_frames, dtype=torch.bool))
        else:
            boxes.append(regions.boxes_xyxyn.cpu().float())
            valid.append(regions.box_valid.cpu())
    return boxes, valid


def _pack_candidates(
    caption_re: Tensor, negative_ke: Tensor, counts: list[int], region_valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Caption and negatives of each region, caption first, padded, (r, n, e); and a mask, True if real, (r, n)."""
    most = max(counts, default=0)
    region_k = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    exists_rn = torch.arange(most) < torch.tensor(counts, dtype=torch.long)[:, None]
    where = tuple(to_device(index, caption_re.device) for index in (region_k, exists_rn.nonzero()[:, 1]))
    padded_rne = caption_re.new_zeros(len(counts), most, caption_re.shape[1]).index_put(where, negative_ke)
    valid_rn = torch.cat([region_valid[:, None], exists_rn & region_valid[:, None]], dim=1)
    return torch.cat([caption_re[:, None], padded_rne], dim=1), to_device(valid_rn, caption_re.device)
