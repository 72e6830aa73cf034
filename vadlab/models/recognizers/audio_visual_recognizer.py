# Shapes: b clips, v views of a clip that are classified separately, n tokens of a modality, c channels, k classes of a
# head.
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError, VADLabError

from ..layers.modality_tokens import ModalityTokens

MODALITIES = ('video', 'audio')


@MODELS.register_module()
class AudioVisualRecognizer(BaseModel):
    """Audio-visual clip classifier: one encoder per modality, a fusion, and one head per label column.

    ::

        frames      (b, t, 3, h, w) -> video_encoder -> tokens -+
                                                                +-> fusion -> (b, c) -+-> head species   -> loss_species
        log-mel     (a, 1, f, t')   -> audio_encoder -> tokens -+                     +-> head behaviour -> ...

    A clip without sound is not encoded as silence: it has no row among the a spectrograms, and the fusion uses the
    modalities that are there. ``modalities`` can turn a modality off, to train without it or to measure its
    contribution. A clip without any remaining modality is classified by the bias of the heads only.

    Args:
        fusion (dict): Config of the fusion, such as :class:`MBT`; ``in_channels`` is set automatically.
        heads (Mapping[str, dict]): Config of each head, such as :class:`ClassificationHead`, by the name of its labels
            and losses; ``in_channels`` and ``column`` are set automatically.
        video_encoder (dict | None): Config of the :class:`Encoder` of frames; None for no video.
        audio_encoder (dict | None): Config of the :class:`Encoder` of spectrograms; None for no audio.
        modalities (Sequence[str] | str): The modalities to use, of ``video`` and ``audio``.
        missing_weights (str): What to do if pretrained weights of an encoder cannot be found. ``stop``: stop training.
            ``fall_back``: warn and use ``fallback`` (video) or random weights (audio); the checkpoint records it.
            Testing a checkpoint does not need pretrained weights.
        fallback (dict | None): Config of the video encoder to fall back to; Simple3DCNN by default, with the same
            ``pooled``.
        data_preprocessor (dict | None): AudioVisualDataPreprocessor by default.

    Raises:
        ConfigError: A modality is unknown or has no encoder, or there is no head.
        CheckpointError: Weights are missing, and ``missing_weights`` is ``stop``.
    """

    def __init__(
        self,
        fusion: dict,
        heads: Mapping[str, dict],
        video_encoder: dict | None = None,
        audio_encoder: dict | None = None,
        modalities: Sequence[str] | str = MODALITIES,
        missing_weights: str = 'stop',
        fallback: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):  # MMEngine's registry may not find VADLab's
            data_preprocessor = MODELS.build(data_preprocessor or dict(type='AudioVisualDataPreprocessor'))
        super().__init__(data_preprocessor=data_preprocessor)
        if missing_weights not in ('stop', 'fall_back'):
            raise ConfigError(f'AudioVisualRecognizer: {missing_weights=} must be stop or fall_back.')
        if not heads:
            raise ConfigError(
                "AudioVisualRecognizer: give heads=dict(species=dict(type='ClassificationHead')), for example."
            )
        self._configs = {
            name: config for name, config in (('video', video_encoder), ('audio', audio_encoder)) if config is not None
        }
        self._fallback_configs = {
            name: _fallback_config(name, config, fallback) for name, config in self._configs.items()
        }
        self._fusion = fusion
        self.modalities = self._check(modalities)
        #: Encoders that were replaced because their weights were missing, with the reason.
        self.fallbacks: dict[str, str] = {}
        self._missing: VADLabError | None = None
        self.encoders = nn.ModuleDict()
        for name, config in self._configs.items():
            try:
                self.encoders[name] = MODELS.build(config)
            except (CheckpointError, MissingFileError) as error:
                if missing_weights == 'fall_back':
                    self.fallbacks[name] = f'{error}'
                else:
                    self._missing = error
                self.encoders[name] = self._build_without_weights(name)
        self._build_fusion()
        self.heads = nn.ModuleDict(
            {
                name: MODELS.build({'column': name, **head, 'in_channels': self.fusion.width})
                for name, head in heads.items()
            }
        )
        #: Whether :meth:`predict` also returns the attention of the fusion.
        self.collect_attention = False

    # ------------------------------------------------------------------------------------------------ life of a model

    def _check(self, modalities: Sequence[str] | str) -> tuple[str, ...]:
        chosen = (modalities,) if isinstance(modalities, str) else tuple(modalities)
        unknown = [name for name in chosen if name not in self._configs]
        if unknown or not chosen:
            raise ConfigError(
                f'AudioVisualRecognizer: modalities={chosen} must be some of {tuple(self._configs)}, which have an '
                'encoder.'
            )
        return chosen

    def _build_without_weights(self, name: str) -> nn.Module:
        """Build the encoder without pretrained weights, or the encoder that replaces it."""
        config = self._fallback_configs[name] if name in self.fallbacks else self._configs[name]
        return MODELS.build({**config, 'pretrained': None} if 'pretrained' in config else config)

    def _build_fusion(self) -> None:
        in_channels = {name: encoder.width for name, encoder in self.encoders.items()}
        self.fusion = MODELS.build({**self._fusion, 'in_channels': in_channels})

    def init_weights(self) -> None:
        """Stop if weights are missing, or log what replaces them; the Runner calls it before training.

        Raises:
            CheckpointError: Weights are missing, and ``missing_weights`` is ``stop``.
        """
        if self.is_init:
            return
        self._raise_if_weights_missing()
        self._is_init = True  # layers are already initialised; BaseModel's method would log every parameter
        for name, reason in self.fallbacks.items():
            MMLogger.get_current_instance().warning(
                f'The {name} encoder FALLS BACK from {self._configs[name]["type"]} to '
                f'{self._fallback_configs[name]["type"]} with random weights: {reason}'
            )

    def _raise_if_weights_missing(self) -> None:
        if self._missing is not None:
            raise CheckpointError(
                f"{self._missing} To train without them, set missing_weights='fall_back'."
            ) from self._missing

    def check_checkpoint(self, state_dict: Mapping[str, Any], name: str) -> None:
        """Check the classes of a checkpoint before loading it, and replace encoders as in its training.

        Args:
            state_dict (Mapping[str, Any]): The checkpoint's weights.
            name (str): Name of the file, for the message.

        Raises:
            CheckpointError: The checkpoint was trained for other classes.
        """
        for head_name, head in self.heads.items():
            state = state_dict.get(f'heads.{head_name}._extra_state')
            if state is not None:
                head.check_classes(state, name)
        own = state_dict.get('_extra_state')
        if own is None or own['fallbacks'].keys() == self.fallbacks.keys():
            return
        changed = own['fallbacks'].keys() ^ self.fallbacks.keys()
        self.fallbacks = dict(own['fallbacks'])
        device = next(self.parameters()).device
        for modality in sorted(changed & self._configs.keys()):
            self.encoders[modality] = self._build_without_weights(modality)
            MMLogger.get_current_instance().info(
                f'{name} was trained {"without" if modality in self.fallbacks else "with"} pretrained weights of the '
                f'{modality} encoder: it is {type(self.encoders[modality]).__name__}.'
            )
        self._build_fusion()
        self.to(device)

    def get_extra_state(self) -> dict[str, Any]:
        """State saved with the weights: which encoders were replaced, and why."""
        return {'fallbacks': dict(self.fallbacks)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore which encoders were replaced; after loading a checkpoint, pretrained weights are not needed."""
        self.fallbacks = dict(state['fallbacks'])
        self._missing = None

    # -------------------------------------------------------------------------------------------------------- forward

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        data_samples: list[AudioVisualDataSample] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[AudioVisualDataSample]:
        """Classify, compute the losses, or predict.

        Args:
            inputs (Mapping[str, Tensor]): ``video``, normalised frames, shape (b, t, 3, h, w); ``audio``, spectrograms
                of the a clips that have sound, shape (a, 1, f, t'); ``video_mask`` and ``audio_mask``, True for clips
                with the modality, bool, shape (b,); ``audio_lengths``, number of columns of each spectrogram before
                padding, int64, shape (a,). Keep masks and lengths on the CPU to avoid a synchronisation with the
                device.
            data_samples (list[AudioVisualDataSample] | None): One per clip, with ``gt_labels`` for ``loss``; not needed
                for ``tensor``.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            dict | list: ``tensor``: logits of each head, shape (b, k), or (b, v, k) if the fusion returns v separate
            views. ``loss``: ``loss_NAME`` of each head and, for the log, ``top1_NAME``. ``predict``: the data samples
            with ``pred_scores``, and with ``pred_attention`` if :attr:`collect_attention` is on.
        """
        if mode == 'tensor':
            return self.classify(self.fuse(inputs)[0])
        if mode not in ('loss', 'predict'):
            raise ValueError(f'AudioVisualRecognizer: mode={mode!r} is not one of tensor, loss, predict.')
        if data_samples is None:
            raise ValueError(f'AudioVisualRecognizer: mode={mode!r} needs data_samples.')
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def loss(self, inputs: Mapping[str, Tensor], data_samples: list[AudioVisualDataSample]) -> dict[str, Tensor]:
        """Loss terms of a batch; see :meth:`forward`."""
        feats, shares = self.fuse(inputs)
        return self.label_losses(self.classify(feats), shares, data_samples)

    def label_losses(
        self, logits: Mapping[str, Tensor], shares: Tensor | None, data_samples: list[AudioVisualDataSample]
    ) -> dict[str, Tensor]:
        """Loss of each head against the labels, and its top-1 accuracy for the log."""
        losses = {}
        for name, head in self.heads.items():
            labels = [sample.gt_labels[name] for sample in data_samples]
            targets = head.targets_of(labels, logits[name].device)
            losses[f'loss_{name}'] = head.loss(logits[name], targets, shares)
            losses[f'top1_{name}'] = _top1(head.scores(logits[name].detach(), shares), targets)
        return losses

    @torch.no_grad()
    def predict(
        self, inputs: Mapping[str, Tensor], data_samples: list[AudioVisualDataSample]
    ) -> list[AudioVisualDataSample]:
        """Write scores to the samples; see :meth:`forward`."""
        found = self.encode(inputs)
        feats, shares = self._views(self.fusion(found, len(data_samples)))
        logits = self.classify(feats)
        scores = {name: head.scores(logits[name], shares).cpu() for name, head in self.heads.items()}
        for place, sample in enumerate(data_samples):
            sample.pred_scores = {name: scores_bk[place] for name, scores_bk in scores.items()}
        if self.collect_attention and hasattr(self.fusion, 'attention'):
            self._write_attention(found, len(data_samples), data_samples)
        return data_samples

    # ---------------------------------------------------------------------------------------------------------- steps

    def fuse(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Input features of the heads, (b, c); or (b, v, c) and the weight of each view, (b, v)."""
        return self._views(self.fusion(self.encode(inputs), len(inputs['video_mask'])))

    def classify(self, feats: Tensor) -> dict[str, Tensor]:
        """Logits of each head."""
        return {name: head(feats) for name, head in self.heads.items()}

    @staticmethod
    def _views(fused: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
        return fused if isinstance(fused, tuple) else (fused, None)

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, ModalityTokens]:
        """Tokens of each modality, for the clips that have it; modalities that are off or in no clip are skipped."""
        self._raise_if_weights_missing()
        found = {}
        for name in self.modalities:
            mask_b = inputs[f'{name}_mask'].cpu()
            data = inputs.get(name)
            if data is None or not mask_b.any():
                continue
            rows = None if mask_b.all() else mask_b.nonzero()[:, 0].to(data.device)
            if rows is not None and len(data) == len(mask_b):  # one row per clip; skip those without it
                data = data[rows]
            encode = self._encode_video if name == 'video' else self._encode_audio
            found[name] = encode(data, rows, inputs)
        return found

    def _encode_video(self, clips: Tensor, rows: Tensor | None, inputs: Mapping[str, Tensor]) -> ModalityTokens:
        encoder = self.encoders['video']
        tokens = encoder(clips)
        if tokens.ndim == 2:
            return ModalityTokens(tokens[:, None], rows)
        return ModalityTokens(tokens, rows, grid=encoder.token_grid(tuple(clips.shape[1:])))

    def _encode_audio(self, mels: Tensor, rows: Tensor | None, inputs: Mapping[str, Tensor]) -> ModalityTokens:
        encoder = self.encoders['audio']
        lengths = inputs.get('audio_lengths')
        if lengths is not None and rows is not None and len(lengths) != len(mels):
            lengths = lengths[rows.to(lengths.device)]
        tokens = encoder(mels, lengths)
        if tokens.ndim == 2:
            return ModalityTokens(tokens[:, None], rows)
        grid = encoder.token_grid(tuple(mels.shape[1:]))
        if lengths is None or bool((lengths == mels.shape[-1]).all()):  # there is no padding
            return ModalityTokens(tokens, rows, grid=grid)
        return ModalityTokens(tokens, rows, encoder.valid_tokens(lengths.to(mels.device), grid), grid)

    def _write_attention(
        self, found: dict[str, ModalityTokens], batch_size: int, data_samples: list[AudioVisualDataSample]
    ) -> None:
        """Save the fusion's attention: per time step for frames, per cell of the grid for spectrograms."""
        for sample in data_samples:
            sample.pred_attention = {}
        for name, weights_mn in self.fusion.attention(found, batch_size).items():
            part = found[name]
            rows = range(batch_size) if part.rows is None else part.rows.tolist()
            for place, row in enumerate(rows):
                weights = weights_mn[place].float().cpu().view(part.grid)
                if name == 'video':
                    weights = weights.flatten(1).sum(1) if weights.ndim > 1 else weights
                elif part.valid is not None:
                    weights = weights[:, part.valid[place].cpu().view(part.grid)[0]]
                data_samples[row].pred_attention[name] = weights


def _top1(scores_bk: Tensor, targets: Tensor) -> Tensor:
    """Top-1 accuracy for the log; with shares as labels, any class with the largest share is right."""
    best_b = scores_bk.argmax(1)
    if targets.ndim == 1:
        return (best_b == targets).float().mean()
    return (targets.gather(1, best_b[:, None])[:, 0] == targets.amax(1)).float().mean()


def _fallback_config(name: str, config: dict, fallback: dict | None) -> dict:
    """Config of an encoder's replacement: the fallback for video, random weights for audio."""
    if name == 'audio':
        return {**config, 'pretrained': None, 'frozen': False}
    return fallback or dict(type='Simple3DCNN', pooled=config.get('pooled', True))
