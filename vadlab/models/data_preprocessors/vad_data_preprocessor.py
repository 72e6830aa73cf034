from typing import Any

import torch
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from .pixel_data_preprocessor import PixelDataPreprocessor, names_in_batch


@MODELS.register_module()
class VADDataPreprocessor(PixelDataPreprocessor):
    """Stacks the videos of a batch and normalises them on the device.

    Frames are copied as uint8, a quarter of the size of float32, and converted to float32 on the device. Peak memory is
    the result plus one uint8 video.

    Annotations stay on the CPU: the model needs to know which frames have a box and which captions are equal, and
    reading that from a GPU would stall every step. The model copies the few numbers that it needs.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255.
        std (Sequence[float]): Standard deviation of red, green and blue, > 0.
        non_blocking (bool): Copy from pinned memory asynchronously.

    Raises:
        ConfigError: ``mean`` and ``std`` are not three numbers each, or a std is not positive.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Convert a collated batch to the model's inputs.

        Args:
            data (dict): ``inputs``, a list of B videos, uint8, shape (T, 3, H, W) each; ``data_samples``, a list of
                :class:`~vadlab.structures.VADDataSample` or None. Other keys are passed on.
            training (bool): Unused.

        Returns:
            dict: The same keys; ``inputs`` is float32 on the device, shape (B, T, 3, H, W).

        Raises:
            DataError: A video does not consist of uint8 frames, or the videos' shapes differ.
        """
        videos: list[Tensor] = list(data['inputs'])
        names = names_in_batch(data.get('data_samples'), len(videos), 'video')
        for name, video in zip(names, videos, strict=True):
            if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] != 3:
                raise DataError(
                    f'VADDataPreprocessor: {name} is {video.dtype} of shape {tuple(video.shape)}; wanted uint8 '
                    '(T, 3, H, W), as PackVADInputs makes.'
                )
            if video.shape != videos[0].shape:
                raise DataError(
                    f'VADDataPreprocessor: {name} has shape {tuple(video.shape)}, but {names[0]} in the same batch '
                    f'{tuple(videos[0].shape)}. Sample the same number of frames at one size, or set batch_size=1.'
                )
        out = torch.empty(len(videos), *videos[0].shape, dtype=torch.float32, device=self.device)
        for place, video in zip(out, videos, strict=True):
            place.copy_(self.to_device(video))
        out.sub_(self.mean).div_(self.std)
        return {**data, 'inputs': out}

    def to_pixels(self, frames: Tensor) -> Tensor:
        """Undo the normalisation: float frames (..., 3, H, W) back to uint8 RGB of the same shape."""
        return (frames.float() * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
