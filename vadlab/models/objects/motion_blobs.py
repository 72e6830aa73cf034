import cv2
import numpy as np
from torch import nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from .objects import Objects

SOURCES = ('flow', 'background')


@MODELS.register_module()
class MotionBlobs(nn.Module):
    """Objects as connected components of moving pixels; needs no weights. People who stand still are not found.

    Args:
        source (str): ``flow``: pixels whose optical flow is at least ``min_speed``. ``background``: pixels that differ
            from OpenCV's adaptive background model (Zivkovic, ICPR 2004), which learns from the clip itself.
        min_speed (float): Pixels per frame, > 0.
        min_area (int): Smaller components are dropped, in pixels.
        opening (int): Diameter of the ellipse that removes specks, in pixels; 1 turns it off.
        closing (int): Diameter of the ellipse that closes gaps, in pixels; 1 turns it off.
        history (int): Frames that the background model remembers.
        variance (float): Squared distance to the background, in variances, from which a pixel is foreground.

    Raises:
        ConfigError: ``source`` is unknown.
    """

    #: Class names; a component has none.
    classes: tuple[str, ...] = ()

    def __init__(
        self,
        source: str = 'flow',
        min_speed: float = 1.0,
        min_area: int = 40,
        opening: int = 3,
        closing: int = 5,
        history: int = 200,
        variance: float = 25.0,
    ) -> None:
        super().__init__()
        if source not in SOURCES:
            raise ConfigError(f'MotionBlobs: there is no source={source!r}. Known: {", ".join(SOURCES)}')
        self.source = source
        self.min_speed = min_speed
        self.min_area = min_area
        self.opening, self.closing = (
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)) for size in (opening, closing)
        )
        self.history, self.variance = history, variance
        self._background: cv2.BackgroundSubtractor | None = None

    def start_clip(self) -> None:
        """Reset the background model for a new clip."""
        self._background = cv2.createBackgroundSubtractorMOG2(self.history, self.variance, detectShadows=False)

    def detect(self, frame: np.ndarray, flow: np.ndarray) -> Objects:
        """Objects of the next frame of a clip.

        Args:
            frame (np.ndarray): RGB, uint8, shape (H, W, 3).
            flow (np.ndarray): Motion since the frame before, pixels, float32, shape (H, W, 2).
        """
        if self.source == 'flow':
            moving = (flow**2).sum(axis=2) >= self.min_speed**2
        else:
            if self._background is None:
                self.start_clip()
            moving = self._background.apply(frame) > 0  # type: ignore[union-attr]
        mask = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_OPEN, self.opening)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, self.closing)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        x, y, width, height, area = stats[1:].T
        boxes = np.stack([x, y, x + width, y + height], axis=1)[area >= self.min_area]
        return Objects(boxes.astype(np.float32), np.zeros((len(boxes), 0), np.float32))
