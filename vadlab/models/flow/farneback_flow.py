import cv2
import numpy as np
from torch import nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from .dis_flow import at_scale


@MODELS.register_module()
class FarnebackFlow(nn.Module):
    """Flow by polynomial expansion, from OpenCV: Farneback, "Two-Frame Motion Estimation", SCIA 2003.

    Args:
        levels (int): Levels of the pyramid.
        window (int): Side of the averaging window, in pixels.
        iterations (int): Per level.
        scale (float): Compute at this share of the height and width, 0..1.

    Raises:
        ConfigError: ``scale`` is outside 0..1.
    """

    def __init__(self, levels: int = 3, window: int = 15, iterations: int = 3, scale: float = 1.0) -> None:
        super().__init__()
        if not 0 < scale <= 1:
            raise ConfigError(f'FarnebackFlow: scale must be in 0..1, not {scale}')
        self.levels, self.window, self.iterations, self.scale = levels, window, iterations, scale

    def flow(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Motion from one grey frame to the next, in pixels, float32, shape (H, W, 2); see :meth:`DISFlow.flow`."""

        def calc(first: np.ndarray, second: np.ndarray, start: None) -> np.ndarray:
            return cv2.calcOpticalFlowFarneback(
                first, second, start, 0.5, self.levels, self.window, self.iterations, 5, 1.1, 0
            )

        return at_scale(calc, before, after, self.scale)
