"""Places of camera traps: background, and grass in the foreground, by day and by night."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..common.scene import scene_seed
from .animal import draw_animal
from .behaviours import Pose
from .species import Look

WIDTH, HEIGHT = 112, 84
_SCALE = 2  # frames are drawn at this multiple of their size, then reduced

# Colours of sky or far wood, near leaves, ground, stems.
_PALETTES = {
    'wood': ((86, 108, 78), (62, 92, 44), (104, 88, 60), (64, 50, 38)),
    'autumn': ((150, 132, 100), (164, 104, 44), (128, 96, 60), (84, 66, 50)),
    'savanna': ((190, 196, 188), (146, 136, 74), (184, 156, 104), (100, 80, 56)),
    'snow': ((176, 186, 194), (96, 110, 104), (222, 226, 230), (80, 72, 66)),
    'heath': ((168, 180, 190), (100, 112, 60), (118, 112, 76), (92, 74, 58)),
}


@dataclass(frozen=True)
class Habitat:
    """The place of one camera, determined by a seed.

    Attributes:
        seed (int): From :func:`~vadlab.simulators.common.scene.scene_seed`; splits share no seed.
        night (bool): Whether there is an infrared flash instead of daylight.
    """

    seed: int
    night: bool

    @classmethod
    def of_split(cls, split: str, number: int, night: bool) -> 'Habitat':
        """Place ``number`` of a split."""
        return cls(scene_seed(split, number), night)

    @cached_property
    def horizon(self) -> float:
        """Upper end of the ground, a share of the height."""
        return float(np.random.default_rng((self.seed, 42)).uniform(0.38, 0.55))

    @cached_property
    def ground(self) -> float:
        """Row of the ground under animals, in pixels of the drawing."""
        return float(np.random.default_rng((self.seed, 43)).uniform(0.78, 0.9)) * HEIGHT * _SCALE

    @cached_property
    def background(self) -> np.ndarray:
        """Background without animal and grass, RGB, uint8, at drawing size."""
        rng = np.random.default_rng((self.seed, 44))
        height, width = HEIGHT * _SCALE, WIDTH * _SCALE
        far, leaves, ground, stem = (np.array(c) for c in self.palette)
        line = round(self.horizon * height)
        rows = np.linspace(0, 1, height)[:, None, None]
        image = np.where(
            rows < self.horizon, far * (1.1 - 0.35 * rows), ground * (0.72 + 0.5 * (rows - self.horizon))
        ) * np.ones((1, width, 1))
        image += cv2.resize(rng.normal(0, 16, (height // 6, width // 8)), (width, height))[..., None]
        image[line:] += rng.normal(0, 7, (height - line, width, 1))
        image = np.clip(image, 0, 255).astype(np.uint8)
        for _ in range(int(rng.integers(3, 8))):  # trunks
            top, thick = int(rng.uniform(0, width)), int(rng.uniform(3, 12))
            bend, foot = int(rng.normal(0, 10)), line + int(rng.uniform(0, 0.12) * height)
            cv2.line(image, (top, foot), (top + bend, 0), _shade(stem, rng), thick, cv2.LINE_AA)
        for _ in range(int(rng.integers(5, 11))):  # bushes
            x, y = rng.uniform(0, width), line + rng.uniform(-0.08, 0.08) * height
            spread = rng.uniform(10, 30)
            for _ in range(26):
                at = (round(x + rng.normal(0, spread)), round(y - abs(rng.normal(0, 0.55 * spread))))
                cv2.circle(image, at, int(rng.uniform(2, 6)), _shade(leaves, rng), -1, cv2.LINE_AA)
        for _ in range(int(rng.integers(4, 14))):  # stones, fallen leaves
            at = (int(rng.uniform(0, width)), int(rng.uniform(line + 4, height)))
            axes = (int(rng.uniform(2, 8)), int(rng.uniform(1, 4)))
            cv2.ellipse(image, at, axes, 0, 0, 360, _shade(ground, rng, 0.3), -1, cv2.LINE_AA)
        return image

    @cached_property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """Colours of the place."""
        return _PALETTES[str(np.random.default_rng((self.seed, 45)).choice(list(_PALETTES)))]

    @cached_property
    def _grass(self) -> np.ndarray:
        """Blades of grass in front of the animal: foot x, foot y, length, lean, phase, shade; shape (K, 6)."""
        rng = np.random.default_rng((self.seed, 46))
        count = int(rng.integers(14, 60))
        foot = rng.uniform(self.ground + 2, 1.06 * HEIGHT * _SCALE, count)
        columns = (rng.uniform(0, WIDTH * _SCALE, count), foot, rng.uniform(10, 42, count), rng.normal(0, 5, count),
                   rng.uniform(0, 2 * np.pi, count), rng.uniform(0.6, 1.25, count))  # fmt: skip
        return np.stack(columns, axis=1)

    @cached_property
    def _flash(self) -> np.ndarray:
        """Intensity of the flash at each pixel, uint8, at final size."""
        rng = np.random.default_rng((self.seed, 47))
        at_x, at_y = rng.uniform(0.35, 0.65) * WIDTH, rng.uniform(0.5, 0.75) * HEIGHT
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        distance = np.hypot((columns - at_x) / WIDTH, (rows - at_y) / HEIGHT)
        return np.clip(1.12 - 1.25 * distance**1.5, 0.12, 1.0)

    def shoot(self, look: Look, pose: Pose, seconds: float, wind: float, rng: np.random.Generator) -> np.ndarray:
        """Draw one frame.

        Args:
            look (Look): The animal.
            pose (Pose): Its pose.
            seconds (float): Time since the clip's start, which moves the grass.
            wind (float): Strength of the wind, 0..1.
            rng (Generator): Source of the sensor's noise.

        Returns:
            np.ndarray: RGB, uint8, shape (84, 112, 3).
        """
        image = self.background.copy()
        shadow = (round(pose.x * image.shape[1]), round(self.ground))
        spread = round(0.5 * look.body * image.shape[1])
        dark = tuple(int(0.6 * v) for v in self.palette[2])
        cv2.ellipse(image, shadow, (spread, max(2, spread // 7)), 0, 0, 360, dark, -1, cv2.LINE_AA)
        draw_animal(image, look, pose, self.ground, eyeshine=self.night)
        for x, foot, length, lean, phase, shade in self._grass:
            tip = lean + 7 * wind * np.sin(2 * np.pi * 0.8 * seconds + phase + x / 40)
            colour = tuple(int(min(255, shade * v)) for v in self.palette[1])
            path = np.array([(x, foot), (x + 0.3 * tip, foot - 0.6 * length), (x + tip, foot - length)], np.int32)
            cv2.polylines(image, [path], False, colour, 2, cv2.LINE_AA)
        small = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self.night:
            grey = small @ np.array([0.45, 0.4, 0.15], np.float32)  # skin and leaves reflect infrared
            grey = (20 + 0.95 * grey) * self._flash
            grey += rng.normal(0, 5, grey.shape)
            small = np.repeat(grey[..., None], 3, axis=2)
        else:
            light = 0.85 + 0.25 * np.random.default_rng((self.seed, 48)).random()
            small = small * light + rng.normal(0, 3, small.shape)
        return np.clip(small, 0, 255).astype(np.uint8)


def _shade(colour: np.ndarray, rng: np.random.Generator, spread: float = 0.18) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour * (1 + rng.normal(0, spread)), 0, 255).astype(int).tolist()
    return red, green, blue
