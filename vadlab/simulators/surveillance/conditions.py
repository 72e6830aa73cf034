"""Light, rain and camera shake."""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..common.scene import HEIGHT, WIDTH

_LIGHTS = ('day', 'day', 'dusk', 'night')
LEVELS = {'day': (1.0, 1.0, 1.0), 'dusk': (0.82, 0.68, 0.66), 'night': (0.42, 0.47, 0.6)}
_RAIN_MARGIN = 80


@dataclass(frozen=True)
class Conditions:
    """Conditions under which a camera records one video.

    Attributes:
        light: 'day', 'dusk' or 'night'.
        rain: Whether it rains.
        shake: Amplitude of the camera's movement, pixels.
        seed: Seed of the lamps and of the movement.
    """

    light: str = 'day'
    rain: bool = False
    shake: float = 0.0
    seed: int = 0

    @classmethod
    def sample(cls, rng: np.random.Generator, outdoor: bool) -> 'Conditions':
        """Random conditions: half of the videos by day; outdoors, a fifth in rain; a quarter with a shaking camera."""
        return cls(
            light=_LIGHTS[rng.integers(len(_LIGHTS))],
            rain=bool(outdoor and rng.random() < 0.2),
            shake=float(rng.uniform(1.0, 3.5)) if rng.random() < 0.25 else 0.0,
            seed=int(rng.integers(2**31)),
        )

    def illuminate(self, image: np.ndarray) -> np.ndarray:
        """Apply the light, with the pools of lamps at dusk and at night."""
        if self.light == 'day':
            return image
        return cv2.multiply(image, _lamps(self.light, self.seed), scale=1 / 128)

    def weather(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the rain of one frame."""
        if not self.rain:
            return image
        left, top = (int(v) for v in rng.integers(0, _RAIN_MARGIN, 2))
        streaks = _rain()[top : top + HEIGHT, left : left + WIDTH]
        return cv2.add(cv2.addWeighted(image, 0.86, image, 0.0, 12), streaks)

    def offset(self, frame: int) -> tuple[int, int]:
        """Displacement of the picture in a frame, whole pixels (x, y)."""
        if not self.shake:
            return 0, 0
        a, b = 0.1 + 0.05 * (self.seed % 7), 0.13 + 0.04 * (self.seed % 5)
        x = math.sin(a * frame) + 0.6 * math.sin(2.7 * b * frame + 1)
        y = math.sin(b * frame + 2) + 0.6 * math.sin(3.1 * a * frame)
        return round(0.7 * self.shake * x), round(0.7 * self.shake * y)


@functools.lru_cache(maxsize=8)
def _lamps(light: str, seed: int) -> np.ndarray:
    """Brightness of each pixel times 128, uint8, shape (240, 320, 3)."""
    rng = np.random.default_rng((seed, 23))
    level = np.array(LEVELS[light])
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    pools = np.zeros((HEIGHT, WIDTH))
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(30, 290), rng.uniform(110, 220)
        pools += np.exp(-(((xx - x) / 70) ** 2) - ((yy - y) / 45) ** 2)
    warm = np.array((1.0, 0.92, 0.76))
    bright = level + 0.55 * (1 - level) * warm * np.clip(pools, 0, 1)[..., None]
    return np.clip(128 * bright, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=1)
def _rain() -> np.ndarray:
    rng = np.random.default_rng(13)
    image = np.zeros((HEIGHT + _RAIN_MARGIN, WIDTH + _RAIN_MARGIN, 3), np.uint8)
    for x, y, length in zip(
        rng.integers(0, image.shape[1], 420),
        rng.integers(0, image.shape[0], 420),
        rng.integers(7, 16, 420),
        strict=True,
    ):
        end = (int(x) - int(length) // 5, int(y) + int(length))
        cv2.line(image, (int(x), int(y)), end, (70, 74, 80), 1, cv2.LINE_AA)
    return image
