"""The ordinary actors of the motion videos: a line that nobody crosses, cars that all drive in one direction."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...common.scene import Scene
from ..everyday.actor import Actor
from ..everyday.cast import sample_cast
from ..everyday.joggers import Joggers
from ..everyday.luggage import Luggage
from ..everyday.passer import Passer
from ..everyday.traffic import Traffic
from ..ground import walkable
from ..stage import Stage
from ..wording import Namer, Phrase

_STRIP = 24.0  # depth of the closed strip, pixels


def open_floor(scene: Scene) -> tuple[float, float]:
    """Smallest and largest y of feet on the near side of the line, pixels."""
    far, near = walkable(scene)
    return far + _STRIP + 6, near


def direction(scene: Scene) -> int:
    """Direction of all cars in a scene: 1 to the right, -1 to the left."""
    return 1 if scene.seed % 2 else -1


@dataclass(frozen=True)
class Line(Actor):
    """A line on the ground; nobody goes beyond it."""

    y: float

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Draw the line."""
        y = round(self.y)

        def paint(image: np.ndarray) -> None:
            cv2.line(image, (0, y), (image.shape[1], y), (226, 60, 50), 2)
            for x in range(0, image.shape[1], 26):
                cv2.line(image, (x, y), (x + 12, y), (236, 232, 226), 2)

        stage.put(-2, paint)

    def phrase(self, name: Namer) -> Phrase:
        """The line."""
        return Phrase('地上的一条线', '', chinese=True) if name.chinese else Phrase('a line', 'on the ground')


def motion_cast(
    rng: np.random.Generator, scene: Scene, people: int, look_alikes: int, cars: int, taken_x: float | None
) -> dict[str, Actor]:
    """The actors of :func:`sample_cast` on the near side of a line, with joggers, luggage, people at rest and cars."""
    floor = open_floor(scene)
    found = sample_cast(rng, scene, max(people - 1, 1), look_alikes, 0, taken_x, floor, ('cars', 'wall'))
    found['line'] = Line(walkable(scene)[0] + _STRIP)
    counterparts = {
        'joggers': lambda: Joggers.sample(rng, floor),
        'luggage': lambda: Luggage.sample(rng, floor),
        'resting': lambda: Passer.sample(rng, floor, 'rest'),
    }
    chosen = list(counterparts)
    rng.shuffle(chosen)
    found |= {name: counterparts[name]() for name in chosen[: int(rng.integers(1, 3))]}
    if scene.outdoor:
        for i in range(1 + cars):
            found[f'car{i}'] = Traffic.sample(rng, floor, parked=False, facing=direction(scene))
    return found
