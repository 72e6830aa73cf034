import numpy as np

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..objects.objects import Objects
from .attribute import Attribute, crop_of

STATISTICS = ('foreground', 'directions')


@MODELS.register_module()
class Speed(Attribute):
    """Speed of an object, from the optical flow in its box; optionally with its size.

    ``foreground``: mean and 90th percentile of the flow magnitudes of the box's moving part, which is the pixels with
    at least the box's mean magnitude. ``directions``: a histogram of ``bins`` directions, the first to the right and
    the others clockwise: the sum of the magnitudes in each direction, divided by the number of pixels of the box, as in
    AI-VAD (Reiss and Hoshen, 2022, arXiv:2212.00789).

    Speeds are divided by the local height of a person, so that the perspective has no effect: heights per frame.

    Args:
        statistics (str): ``foreground`` or ``directions``.
        bins (int): Number of directions.
        size (bool): Also width and height of the box, in heights of a person. A density of speed and size together
            separates a fast bicycle from a fast walker near the camera.
        by_height (bool): Divide by the local height; if False, speeds and sizes are in pixels.

    Raises:
        ConfigError: ``statistics`` is unknown.
    """

    def __init__(
        self, statistics: str = 'foreground', bins: int = 8, size: bool = True, by_height: bool = True
    ) -> None:
        super().__init__()
        if statistics not in STATISTICS:
            raise ConfigError(f'Speed: there is no statistics={statistics!r}. Known: {", ".join(STATISTICS)}')
        self.statistics, self.bins, self.size, self.by_height = statistics, bins, size, by_height

    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Speeds in pixels per frame, shape (M, 2) or (M, bins); see :meth:`Attribute.measure`."""
        width = 2 if self.statistics == 'foreground' else self.bins
        out = np.full((len(objects), width), np.nan, np.float32)
        if flow is None or not len(objects):
            return out
        magnitudes = np.sqrt((flow**2).sum(axis=2))
        for row, box in zip(out, objects.boxes_xyxy, strict=True):
            part = crop_of(box, magnitudes.shape)
            speeds = magnitudes[part].ravel()
            if self.statistics == 'foreground':
                moving = speeds[speeds >= speeds.mean()]
                row[:] = (moving.mean(), np.percentile(moving, 90)) if len(moving) else speeds[0]
            else:
                angles = np.arctan2(flow[part][..., 1], flow[part][..., 0]).ravel()
                where = np.round(angles / (2 * np.pi) * self.bins).astype(int) % self.bins
                row[:] = np.bincount(where, speeds, self.bins) / len(speeds)
        return out

    def vectors(self, measured: np.ndarray, boxes: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """Speeds, and width and height of the box, in heights of a person."""
        unit = heights[:, None] if self.by_height else np.ones((len(heights), 1))
        parts = [measured]
        if self.size:
            parts.append(boxes[:, 2:] - boxes[:, :2])
        return np.concatenate(parts, axis=1) / unit

    def describe(self, vector: np.ndarray) -> str:
        """Speed and size in words."""
        unit = 'heights' if self.by_height else 'pixels'
        speed = vector[0] if self.statistics == 'foreground' else vector[: self.bins].sum()
        text = f'{speed:.3f} {unit}/frame'
        return f'{text}, {vector[-2]:.2f} x {vector[-1]:.2f} {unit}' if self.size else text
