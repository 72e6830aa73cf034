from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from .pixel_data_preprocessor import names_in_batch

#: Channels of the model's input, as weights of red, green and blue: one row per channel. Grey is ITU-R BT.601 luma.
CHANNELS = {
    'rgb': ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    'bgr': ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    'grey': ((0.299, 0.587, 0.114),),
}


@MODELS.register_module()
class FrameWindowPreprocessor(BaseDataPreprocessor):
    """Stacks short windows of frames for training; keeps whole videos of a test as uint8.

    A test video has hundreds or thousands of frames, which the model reads window by window, so they are converted with
    :meth:`to_float` where they are needed and never all at once.

    Args:
        channels (str): ``rgb``, ``bgr`` (as OpenCV reads images) or ``grey``.
        mean (float): Pixel value, 0..255, that becomes 0.
        std (float): Difference of pixel values that becomes 1, > 0; the defaults give -1..1.
        non_blocking (bool): Copy from pinned memory asynchronously.

    Raises:
        ConfigError: ``channels`` is unknown, or ``std`` is not positive.
    """

    def __init__(
        self, channels: str = 'rgb', mean: float = 127.5, std: float = 127.5, non_blocking: bool = True
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if channels not in CHANNELS:
            raise ConfigError(f'{type(self).__name__}: channels={channels!r} is not one of {", ".join(CHANNELS)}.')
        if std <= 0:
            raise ConfigError(f'{type(self).__name__}: std must be > 0, not {std}.')
        self.channels = channels
        self.mean = mean
        self.std = std
        self.register_buffer('_mix', torch.tensor(CHANNELS[channels]), persistent=False)

    @property
    def num_channels(self) -> int:
        """Channels of the model's input."""
        return len(CHANNELS[self.channels])

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Check a collated batch, and convert it for training.

        Args:
            data (dict): ``inputs``, a list of B windows or videos, uint8, shape (T, 3, H, W) each; ``data_samples``.
                Other keys are passed on.
            training (bool): Whether to stack and convert.

        Returns:
            dict: The same keys; ``inputs`` is float32 on the device, shape (B, T, C, H, W), or the list as it was.

        Raises:
            DataError: A video does not consist of uint8 frames, or the shapes of windows for training differ.
        """
        videos: Sequence[Tensor] = list(data['inputs'])
        names = names_in_batch(data.get('data_samples'), len(videos), 'video')
        for name, video in zip(names, videos, strict=True):
            if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] != 3:
                raise DataError(
                    f'{type(self).__name__}: {name} is {video.dtype} of shape {tuple(video.shape)}; wanted uint8 '
                    '(T, 3, H, W), as PackVADInputs makes.'
                )
            if training and video.shape != videos[0].shape:
                raise DataError(
                    f'{type(self).__name__}: {name} has shape {tuple(video.shape)}, but {names[0]} in the same batch '
                    f'{tuple(videos[0].shape)}. Decode windows of one length at one size.'
                )
        if not training:
            return {**data, 'inputs': videos}
        return {**data, 'inputs': self.to_float(torch.stack(list(videos)))}

    def to_float(self, frames: Tensor) -> Tensor:
        """Frames for the model: uint8 (..., 3, H, W) on any device to float (..., C, H, W) on the model's."""
        pixels = frames.to(self.device, non_blocking=self._non_blocking).to(self._mix.dtype)
        if self.channels == 'bgr':
            pixels = pixels.flip(-3)
        elif self.channels == 'grey':
            pixels = torch.einsum('...chw,oc->...ohw', pixels, self._mix)
        return pixels.sub_(self.mean).div_(self.std)
