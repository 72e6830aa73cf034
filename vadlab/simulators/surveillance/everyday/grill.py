"""A person who cooks at a grill: an ordinary flame, with steam."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...common.person import Box, draw_person, stand
from .. import effects
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer


@dataclass(frozen=True)
class Grill(Actor):
    """A cook beside a grill."""

    cook: Passer
    x: float
    side: int
    glow: float

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float], x: float | None = None) -> 'Grill':
        """A random cook at ``x``."""
        cook = Passer.sample(rng, floor, 'stand')
        side = 1 if rng.random() < 0.5 else -1
        return cls(cook, float(rng.uniform(50, 270)) if x is None else x, side, float(rng.uniform(0.1, 0.2)))

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position, pixels."""
        return self.cook.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put cook, grill, glow and steam on the stage under one role."""
        h = self.cook.height
        gx, top = self.x + self.side * 0.42 * h, self.y - 0.36 * h
        stage.put(self.y, lambda image: self._grill(image, gx, top), role)
        pose = replace(stand(0.1 * stage.frame), near_arm=(0.9, 0.5 + 0.15 * np.sin(0.2 * stage.frame)))
        stage.put(
            self.y,
            lambda image: draw_person(image, self.cook.look, self.x, self.y, h, self.side, pose).box,
            role,
        )
        clock = stage.clock
        stage.light(lambda image: _no_box(effects.draw_smoke(image, gx, top - 0.06 * h, 0.26 * h, clock, 150, 1.5)))
        stage.light(lambda image: _no_box(effects.draw_fire(image, gx, top, 0.32 * h, self.glow * h, stage.rng)))

    def _grill(self, image: np.ndarray, x: float, top: float) -> Box:
        h = self.cook.height
        for dx in (-0.12, 0.12):
            cv2.line(image, (round(x + dx * h), round(top)), (round(x + 1.3 * dx * h), round(self.y)), (50, 50, 54), 2)
        a, b = (round(x - 0.2 * h), round(top)), (round(x + 0.2 * h), round(top + 0.1 * h))
        cv2.rectangle(image, a, b, (40, 40, 44), -1)
        return (x - 0.2 * h, top - self.glow * h, x + 0.2 * h, self.y)

    def phrase(self, name: Namer) -> Phrase:
        """The cook at work."""
        if name.chinese:
            return Phrase(name.person(self.cook.look), '在烤架旁做饭', chinese=True)
        return Phrase(name.person(self.cook.look), name.pick('cooking food on a grill', 'having a barbecue'))


def _no_box(_: Box) -> None:
    """Callback for a part without a box."""
