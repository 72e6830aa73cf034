from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from .pixel_data_preprocessor import CLIP_MEAN, CLIP_STD, PixelDataPreprocessor, names_in_batch, packed_inputs


class WaitingVideos:
    """A batch of uint8 videos on the host. A slice of it is normalised on the device.

    With a :class:`GradientCache`, only the videos of one chunk are on the device at a time. The class is not a tensor,
    so DistributedDataParallel does not copy the batch to the device.

    Args:
        videos (list[Tensor]): uint8, shape (T, 3, H, W) each.
        normalise (Callable): Takes some of the videos; returns float32 on the device, shape (b, T, 3, H, W).
    """

    def __init__(self, videos: list[Tensor], normalise: Callable[[list[Tensor]], Tensor]) -> None:
        self._videos = videos
        self._normalise = normalise

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, chunk: slice) -> Tensor:
        return self._normalise(self._videos[chunk])


@MODELS.register_module()
class VADDataPreprocessor(PixelDataPreprocessor):
    """Stacks the videos of a batch and normalises them on the device.

    Frames are copied as uint8, a quarter of the size of float32, and converted to float32 on the device. Peak memory is
    the result plus one uint8 video.

    Annotations stay on the CPU: the model needs to know which frames have a box and which captions are equal, and
    reading that from a GPU would stall every step. The model copies the few numbers that it needs.

    A model with a :class:`GradientCache` sets ``keeps_on_host``. Training batches are then :class:`WaitingVideos`.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255.
        std (Sequence[float]): Standard deviation of red, green and blue, > 0.
        non_blocking (bool): Copy from pinned memory asynchronously.
        pad (bool): Accept videos of different sizes in a batch, and pad them at the right and at the bottom with zeros
            (the mean). The size of each is ``img_shape`` of its data sample.

    Raises:
        ConfigError: ``mean`` and ``std`` are not three numbers each, or a std is not positive.
    """

    keeps_on_host = False

    def __init__(
        self,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        non_blocking: bool = True,
        pad: bool = False,
    ) -> None:
        super().__init__(mean, std, non_blocking)
        self.pad = pad

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Convert a collated batch to the model's inputs.

        Args:
            data (dict): ``inputs``, a list of B videos, uint8, shape (T, 3, H, W) each; ``data_samples``, a list of
                :class:`~vadlab.structures.VADDataSample` or None. Other keys are passed on.
            training (bool): Whether the batch is for training; only then may it stay on the host.

        Returns:
            dict: The same keys; ``inputs`` is float32 on the device, shape (B, T, 3, H, W) with the largest H and W,
            or :class:`WaitingVideos`.

        Raises:
            DataError: A video does not consist of uint8 frames, or the videos' shapes differ.
        """
        videos: list[Tensor] = list(packed_inputs(data))
        names = names_in_batch(data.get('data_samples'), len(videos), 'video')
        for name, video in zip(names, videos, strict=True):
            if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] != 3:
                raise DataError(
                    f'VADDataPreprocessor: {name} is {video.dtype} of shape {tuple(video.shape)}; wanted uint8 '
                    '(T, 3, H, W), as PackVADInputs makes.'
                )
            if video.shape[: 2 if self.pad else 4] != videos[0].shape[: 2 if self.pad else 4]:
                raise DataError(
                    f'VADDataPreprocessor: {name} has shape {tuple(video.shape)}, but {names[0]} in the same batch '
                    f'{tuple(videos[0].shape)}. Sample the same number of frames at one size, or set batch_size=1.'
                )
        if training and self.keeps_on_host:
            return {**data, 'inputs': WaitingVideos(videos, self._normalise)}
        return {**data, 'inputs': self._normalise(videos)}

    def _normalise(self, videos: list[Tensor]) -> Tensor:
        height, width = (max(video.shape[side] for video in videos) for side in (2, 3))
        shape = (len(videos), *videos[0].shape[:2], height, width)
        out = torch.empty(shape, dtype=torch.float32, device=self.device)
        for place, video in zip(out, videos, strict=True):
            if video.shape[2:] != (height, width):
                place.copy_(self.mean.expand_as(place))
            place[..., : video.shape[2], : video.shape[3]].copy_(self.to_device(video))
        return out.sub_(self.mean).div_(self.std)

    def to_pixels(self, frames: Tensor) -> Tensor:
        """Undo the normalisation: float frames (..., 3, H, W) back to uint8 RGB of the same shape."""
        return (frames.float() * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
