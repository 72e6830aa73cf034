import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module(name='RandomFlip')
class RandomFlip(BaseTransform):
    """Mirror all frames of a video and its boxes horizontally, with a given probability.

    Captions with "left" or "right" become wrong.

    Required keys: frames

    Added keys: flip (bool)

    Modified keys: frames, region_boxes (if there)

    Args:
        prob: Probability, 0..1.

    Raises:
        ConfigError: ``prob`` is not a probability.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomFlip: prob must be in 0..1, not {prob!r}')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        results['flip'] = bool(new_generator().random() < self.prob)
        if results['flip']:
            frames = np.ascontiguousarray(results['frames'])
            tall = frames.reshape(-1, frames.shape[2], 3)  # all frames are one picture to OpenCV
            results['frames'] = cv2.flip(tall, 1).reshape(frames.shape)
            if 'region_boxes' in results:
                mirrored = results['region_boxes'].copy()
                mirrored[..., [0, 2]] = 1 - mirrored[..., [2, 0]]
                # Frames without a box keep zeros.
                results['region_boxes'] = np.where(results['region_valid'][..., None], mirrored, 0).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
