"""White steam above a vent in the ground, and a fountain."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...common.person import Box
from .. import effects
from ..ground import size_at
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor


@dataclass(frozen=True)
class Steam(Actor):
    """White steam above a vent, or a fountain."""

    x: float
    y: float
    size: float
    fountain: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float], x: float | None = None) -> 'Steam':
        """A random vent or fountain at ``x``."""
        y = float(rng.uniform(*floor))
        return cls(
            float(rng.uniform(40, 280)) if x is None else x,
            y,
            float(rng.uniform(50, 76)) * size_at(y),
            bool(rng.random() < 0.4),
        )

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the vent and its steam on the stage."""
        clock = stage.clock
        stage.put(self.y - 2, self._vent)
        if self.fountain:
            stage.put(self.y - 1, lambda image: self._jets(image, clock), role)
        else:
            stage.put(
                self.y - 1, lambda image: effects.draw_smoke(image, self.x, self.y, self.size, clock, 200, 1.2), role
            )

    def _vent(self, image: np.ndarray) -> None:
        axes = (round(0.55 * self.size), round(0.16 * self.size))
        colour = (120, 160, 190) if self.fountain else (50, 52, 56)
        cv2.ellipse(image, (round(self.x), round(self.y)), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def _jets(self, image: np.ndarray, clock: float) -> Box:
        for i in range(-3, 4):
            reach, top = 0.14 * i * self.size, 1.2 - 0.06 * i * i + 0.05 * np.sin(6 * clock + i)
            t = np.linspace(0, 1, 9)
            xs, ys = self.x + reach * t, self.y - self.size * top * 4 * t * (1 - 0.75 * t) * 0.75
            points = np.stack([xs, ys], 1).round().astype(np.int32)
            cv2.polylines(image, [points], False, (206, 226, 238), 1, cv2.LINE_AA)
        return (
            self.x - 0.55 * self.size,
            self.y - 1.3 * self.size,
            self.x + 0.55 * self.size,
            self.y + 0.16 * self.size,
        )

    def phrase(self, name: Namer) -> Phrase:
        """What is seen."""
        if name.chinese:
            return Phrase(
                '一座喷泉' if self.fountain else '通风口', '在喷水' if self.fountain else '冒着蒸汽', chinese=True
            )
        if self.fountain:
            return Phrase('a fountain', 'with water')
        return Phrase('white steam', name.pick('rising from a vent', 'above a vent in the ground'))
