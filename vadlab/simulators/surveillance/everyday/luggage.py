"""A suitcase beside its owner."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer


@dataclass(frozen=True)
class Luggage(Actor):
    """A suitcase beside its owner, who waits."""

    owner: Passer
    side: int

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float]) -> 'Luggage':
        """A random owner with a suitcase."""
        return cls(Passer.sample(rng, floor, 'stand'), 1 if rng.random() < 0.5 else -1)

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position, pixels."""
        return self.owner.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put owner and suitcase on the stage under one role."""
        self.owner.draw(stage, role)
        x = self.owner.place(stage.frame)[0] + self.side * 0.35 * self.owner.height
        size = 0.28 * self.owner.height
        colour = self.owner.accessory
        stage.put(self.y, lambda image: draw_suitcase(image, x, self.y, size, colour), role)

    def phrase(self, name: Namer) -> Phrase:
        """The owner and the suitcase."""
        if name.chinese:
            return Phrase(name.person(self.owner.look), '站在行李箱旁', chinese=True)
        return Phrase(name.person(self.owner.look), 'standing beside a suitcase')


def draw_suitcase(
    image: np.ndarray, x: float, y: float, size: float, colour: tuple[int, int, int]
) -> tuple[float, float, float, float]:
    """Draw a suitcase of ``size`` pixels that stands at (x, y); returns its box."""
    half = 0.4 * size
    a, b = (round(x - half), round(y - size)), (round(x + half), round(y))
    cv2.rectangle(image, a, b, colour, -1)
    cv2.rectangle(image, a, b, tuple(int(0.5 * c) for c in colour), 1)
    cv2.line(image, (round(x), a[1]), (round(x), round(y - 1.35 * size)), (60, 60, 60), 1)
    return (x - half, y - 1.35 * size, x + half, y)
