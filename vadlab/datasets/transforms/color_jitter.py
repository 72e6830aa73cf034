import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator

_LUMA = np.array([0.299, 0.587, 0.114])


@TRANSFORMS.register_module(name='ColorJitter')
class ColorJitter(BaseTransform):
    """Change brightness, contrast and saturation of a video, equally in all frames.

    Each factor is drawn from ``[1 - x, 1 + x]``. Brightness multiplies; contrast scales about the video's mean grey;
    saturation scales about each pixel's own grey (ITU-R BT.601 weights).

    Required keys: frames

    Modified keys: frames

    Args:
        brightness: 0..1.
        contrast: 0..1.
        saturation: 0..1.

    Raises:
        ConfigError: An option is not in 0..1.
    """

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2) -> None:
        for name, value in dict(brightness=brightness, contrast=contrast, saturation=saturation).items():
            if not 0 <= value <= 1:
                raise ConfigError(f'ColorJitter: {name} must be in 0..1, not {value!r}')
        self.ranges = (brightness, contrast, saturation)

    def transform(self, results: dict) -> dict:
        brightness, contrast, saturation = 1 + new_generator().uniform(-1, 1, 3) * self.ranges
        frames = results['frames']
        tall = np.ascontiguousarray(frames).reshape(-1, frames.shape[2], 3)  # all frames are one picture to OpenCV
        mean = float(np.array(cv2.mean(tall)[:3]) @ _LUMA) * brightness
        # All three are linear in a pixel's colours, so one matrix and one offset suffice, exact to one grey level.
        mix = saturation * np.eye(3) + (1 - saturation) * _LUMA
        offset = np.full((3, 1), (1 - contrast) * mean)
        results['frames'] = cv2.transform(tall, np.hstack([brightness * contrast * mix, offset])).reshape(frames.shape)
        return results

    def __repr__(self) -> str:
        return '{}(brightness={}, contrast={}, saturation={})'.format(type(self).__name__, *self.ranges)
