# Shapes: n frames of a video, w windows, k components of the score, c channels.
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError

from ..checkpoints.public_layout import rename_tensors
from ..heads.prompt_scoring_head import to_every_frame

#: How the components of a score are brought to one scale.
NORMALISATIONS = ('training', 'per_clip')


class FrameWindowDetector(BaseModel):
    """Base class of one-class methods that train on short windows of frames and score one frame of each window.

    ::

        video (n frames) -> windows of `window` frames -> components() of each, higher is more anomalous
                         -> one scale -> weighted sum -> score of the window's `scored_frame` -> every frame

    A method implements :meth:`loss` and :meth:`components`. Frames that no window scores get the score of the nearest
    frame that has one.

    With ``normalisation='training'`` a component is standardised by its mean and standard deviation over training
    windows, which :meth:`calibrate` measures after each epoch (``CalibrationHook``). With ``'per_clip'`` each component
    is scaled to 0..1 by its minimum and maximum in the test clip, as the code of MemAE and MNAD does. This uses the
    whole clip, so it cannot score live video. It also raises the AUC on data sets in which every test clip has both
    normal and anomalous frames, since the highest score of each clip becomes 1.

    Args:
        window (int): Frames per window, >= 1.
        scored_frame (int): The frame of a window that its score belongs to, 0..window - 1.
        weights (Mapping[str, float]): Weight of each component, >= 0.
        normalisation (str): ``training`` or ``per_clip``, see above.
        window_stride (int): Frames from one scored window of a test video to the next, >= 1. Frames between are
            interpolated.
        data_preprocessor (dict | nn.Module | None): See
            :class:`~vadlab.models.data_preprocessors.FrameWindowPreprocessor`.

    Raises:
        ConfigError: An option has an invalid value.
    """

    #: As in :class:`SnippetDetector`.
    public_layouts: tuple[str, ...] = ()
    public_rules: ClassVar[Mapping[str, Mapping[str, str | None]]] = {}
    needs_training = True

    component_mean: Tensor
    component_std: Tensor
    total_mean_std: Tensor
    calibrated_windows: Tensor

    def __init__(
        self,
        window: int,
        scored_frame: int,
        weights: Mapping[str, float],
        normalisation: str = 'training',
        window_stride: int = 1,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        settings = data_preprocessor or dict(type='FrameWindowPreprocessor')
        super().__init__(MODELS.build(settings) if isinstance(settings, dict) else settings)
        name = type(self).__name__
        if normalisation not in NORMALISATIONS:
            raise ConfigError(
                f'{name}: normalisation={normalisation!r} is not one of {", ".join(NORMALISATIONS)}. per_clip uses '
                'the whole test clip, as the papers of MemAE and MNAD do.'
            )
        if window < 1 or not 0 <= scored_frame < window or window_stride < 1:
            raise ConfigError(
                f'{name}: a window has at least 1 frame, its scored frame lies inside it, and window_stride is at '
                f'least 1; not window={window}, scored_frame={scored_frame}, window_stride={window_stride}.'
            )
        if min(weights.values()) < 0 or not any(weights.values()):
            raise ConfigError(f'{name}: the weights of a score are >= 0 and not all 0, not {dict(weights)}.')
        self.window = window
        self.scored_frame = scored_frame
        self.weights = dict(weights)
        self.normalisation = normalisation
        self.window_stride = window_stride
        self.register_buffer('component_mean', torch.zeros(len(weights)))
        self.register_buffer('component_std', torch.ones(len(weights)))
        self.register_buffer('total_mean_std', torch.tensor([0.0, 1.0]))
        self.register_buffer('calibrated_windows', torch.zeros((), dtype=torch.long))

    # ---- what a method implements ----------------------------------------------------------------------------------

    def loss(self, frames_btchw: Tensor) -> dict[str, Tensor]:
        """Loss terms of a batch of windows.

        Args:
            frames_btchw (Tensor): Normalised frames, float32, shape (B, window, C, H, W).
        """
        raise NotImplementedError

    def components(self, video: Tensor) -> dict[str, Tensor]:
        """Components of the score of each window of a video, without normalisation; higher is more anomalous.

        Args:
            video (Tensor): Frames, uint8, shape (n, 3, H, W), n >= window.

        Returns:
            dict[str, Tensor]: One entry per key of ``weights``, float32, shape (w,), for the windows of
            :meth:`window_starts`.
        """
        raise NotImplementedError

    # ---- what they share -------------------------------------------------------------------------------------------

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[VADDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Compute the loss of windows, or score whole videos.

        Args:
            inputs (Tensor | Sequence[Tensor]): For ``loss`` normalised windows, float32, shape (B, window, C, H, W).
                Otherwise one video per sample, uint8, shape (n, 3, H, W).
            data_samples (list[VADDataSample] | None): One per video, with ``total_frames``; for ``predict``.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            dict | list: ``tensor``: a dict of components per video. ``loss``: the loss terms. ``predict``: the data
            samples with ``pred_logits`` and ``pred_scores`` of every frame.

        Raises:
            DataError: A video has fewer frames than a window, or not all frames of the video were decoded.
        """
        name = type(self).__name__
        if mode == 'loss':
            if inputs.shape[1] != self.window:  # type: ignore[union-attr]
                raise DataError(
                    f'{name}: training windows have {inputs.shape[1]} frames, but the model takes {self.window}. '  # type: ignore[union-attr]
                    'Set the length of FrameWindows to the window of the model.'
                )
            return self.loss(inputs)  # type: ignore[arg-type]
        if mode == 'tensor':
            return [self.components(video) for video in inputs]
        if mode == 'predict':
            return self._predict(inputs, data_samples or [])  # type: ignore[arg-type]
        raise ValueError(f'{name}: mode={mode!r} is not one of tensor, loss, predict.')

    def _predict(self, videos: Sequence[Tensor], data_samples: list[VADDataSample]) -> list[VADDataSample]:
        for video, sample in zip(videos, data_samples, strict=True):
            total, name = int(sample.total_frames), f'{type(self).__name__}: video {sample.get("video_id")!r}'
            if len(video) != total:
                raise DataError(
                    f'{name} has {total} frames, but {len(video)} were decoded. Scores need every frame: use '
                    'TakeAllFrames in the pipeline of the test.'
                )
            if total < self.window:
                raise DataError(
                    f'{name} has {total} frames, but a window of the model has {self.window}. Leave this video out.'
                )
            logits_w = self.combine(self.components(video))
            centres = self.window_starts(total) + self.scored_frame
            sample.pred_logits = to_every_frame(logits_w, centres.numpy(), total)
            if self.normalisation == 'per_clip':
                sample.pred_scores = sample.pred_logits.clone()
                sample.set_metainfo({'score_normalisation': 'per_clip'})
            else:
                sample.pred_scores = torch.sigmoid(sample.pred_logits - ALARM_AT)
        return data_samples

    def window_starts(self, num_frames: int) -> Tensor:
        """First frame of each window that is scored in a video, int64, shape (w,)."""
        return torch.arange(0, num_frames - self.window + 1, self.window_stride)

    def combine(self, components: Mapping[str, Tensor]) -> Tensor:
        """Score of each window from its components, float32, shape (w,).

        ``training``: in standard deviations above the mean of training windows. ``per_clip``: 0..1.
        """
        values_kw = torch.stack([components[name].float() for name in self.weights])
        weights_k = values_kw.new_tensor(list(self.weights.values()))
        if self.normalisation == 'per_clip':
            low, high = values_kw.amin(1, keepdim=True), values_kw.amax(1, keepdim=True)
            scaled = (values_kw - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
            return (weights_k / weights_k.sum()) @ scaled
        mean, std = self.total_mean_std
        return (self._weighted(values_kw) - mean) / std

    def _weighted(self, values_kw: Tensor) -> Tensor:
        weights_k = values_kw.new_tensor(list(self.weights.values()))
        return weights_k @ ((values_kw - self.component_mean[:, None]) / self.component_std[:, None])

    @torch.no_grad()
    def calibrate(self, batches: Iterable[dict[str, Any]]) -> int:
        """Measure the mean and standard deviation of each component, and of their sum, over training windows.

        Args:
            batches (Iterable[dict]): Collated batches with ``inputs``, uint8 windows of shape (window, 3, H, W).

        Returns:
            int: Number of windows.
        """
        rows: list[Tensor] = []
        for batch in batches:
            for video in self.data_preprocessor(batch, False)['inputs']:
                parts = self.components(video)
                rows.append(torch.stack([parts[name].float().mean() for name in self.weights]))
        values_kw = torch.stack(rows, 1)
        self.component_mean.copy_(values_kw.mean(1))
        self.component_std.copy_(_spread(values_kw))
        total_w = self._weighted(values_kw)
        self.total_mean_std.copy_(torch.stack([total_w.mean(), _spread(total_w[None])[0]]))
        self.calibrated_windows.fill_(len(rows))
        return len(rows)

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a checkpoint of the authors to our names; it has no calibration.

        Args:
            tensors (dict[str, Tensor]): The authors' state dict, without DataParallel's ``module.`` prefixes.

        Returns:
            dict[str, Tensor] | None: Our state dict; None if the layout is unknown.

        Raises:
            CheckpointError: The checkpoint has the signature of a layout, but unknown tensors.
        """
        for layout, (signature, rules) in zip(self.public_layouts, self.public_rules.items(), strict=True):
            renamed = rename_tensors(tensors, rules, signature, method=layout.rpartition('/')[2])
            if renamed is not None:
                if self.normalisation == 'training' and len(self.weights) > 1:
                    print_log(
                        f"A checkpoint of {layout} has no statistics of training windows, so the score's components "
                        f"({', '.join(self.weights)}) are added as they are. normalisation='per_clip' is the "
                        "authors' protocol.",
                        'current',
                        logging.WARNING,
                    )
                return renamed | {
                    'component_mean': torch.zeros_like(self.component_mean),
                    'component_std': torch.ones_like(self.component_std),
                    'total_mean_std': torch.tensor([0.0, 1.0]),
                    'calibrated_windows': torch.zeros((), dtype=torch.long),
                }
        return None

    def float_windows(self, video: Tensor, chunk_size: int) -> Iterator[Tensor]:
        """Normalised windows of a video on the model's device, chunk by chunk.

        Args:
            video (Tensor): Frames, uint8, shape (n, 3, H, W).
            chunk_size (int): Windows per chunk, >= 1.

        Yields:
            Tensor: float32, shape (at most chunk_size, window, C, H, W), in the order of :meth:`window_starts`.
        """
        starts = self.window_starts(len(video))
        for some in starts.split(chunk_size):
            first = int(some[0])
            frames = self.data_preprocessor.to_float(video[first : int(some[-1]) + self.window])
            inside = (some - first)[:, None] + torch.arange(self.window)
            yield frames[inside.to(frames.device)]


#: Standard deviations above the mean of training windows at which the probability of an anomaly is 0.5.
ALARM_AT = 3.0


def _spread(values_kw: Tensor) -> Tensor:
    """Standard deviation of each row, shape (k,); 1 where all values are equal."""
    std = values_kw.std(1, correction=0)
    return torch.where(std > 0, std, torch.ones_like(std))


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB from mean squared errors of pixels 0..1, any shape; at most 100.

    >>> psnr(torch.tensor([0.01, 0.0])).round().tolist()
    [20.0, 100.0]
    """
    return -10 / math.log(10) * mse.clamp_min(1e-10).log()
