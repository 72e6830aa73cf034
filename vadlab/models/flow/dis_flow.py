import cv2
import numpy as np
from torch import nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

_PRESETS = {
    'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
    'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@MODELS.register_module()
class DISFlow(nn.Module):
    """Dense inverse search of OpenCV: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016.

    Args:
        preset (str): ``medium``, ``fast`` or ``ultrafast``.
        scale (float): Compute at this share of the height and width, 0..1; the flow is scaled back to full pixels.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(self, preset: str = 'medium', scale: float = 1.0) -> None:
        super().__init__()
        if preset not in _PRESETS:
            raise ConfigError(f'DISFlow: there is no preset={preset!r}. Known: {", ".join(_PRESETS)}')
        if not 0 < scale <= 1:
            raise ConfigError(f'DISFlow: scale must be in 0..1, not {scale}')
        self.preset, self.scale = preset, scale
        self._engine: cv2.DISOpticalFlow | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_engine': None}

    def flow(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Motion from one frame to the next.

        Args:
            before (np.ndarray): Grey, uint8, shape (H, W).
            after (np.ndarray): The same.

        Returns:
            np.ndarray: Along x and y, in pixels, float32, shape (H, W, 2).
        """
        if self._engine is None:
            self._engine = cv2.DISOpticalFlow.create(_PRESETS[self.preset])
        return at_scale(self._engine.calc, before, after, self.scale)


def at_scale(calc, before: np.ndarray, after: np.ndarray, scale: float) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Flow of smaller pictures, scaled back to the full size."""
    before, after = np.ascontiguousarray(before), np.ascontiguousarray(after)
    if scale == 1:
        return calc(before, after, None)
    height, width = before.shape
    size = max(round(width * scale), 12), max(round(height * scale), 12)
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (before, after)]
    flow = cv2.resize(calc(*small, None), (width, height), interpolation=cv2.INTER_LINEAR)
    return flow * np.array([width / size[0], height / size[1]], np.float32)
