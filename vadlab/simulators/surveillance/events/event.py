"""The base class of anomalous events.

Every event is a pure function of its progress, 0 at the first anomalous frame and 1 at the last, so any frame can be
drawn without the earlier ones.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from ...common.person import Box, Pose, draw_person, walk
from ...common.scene import Scene
from ..captions import PLACES
from ..everyday.passer import Passer
from ..ground import size_at, walkable
from ..stage import Stage
from ..wording import Namer, Phrase


class Event(ABC):
    """An anomalous event at one place.

    Attributes:
        kind: Name of the class; UCF-Crime's, if it has one.
        place: Kind of the scene.
        where: 'anywhere', 'open air' or 'cars' (where cars can be).
    """

    kind: str
    where = 'anywhere'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.place = scene.kind
        self.floor = walkable(scene)
        self.x = float(rng.uniform(62, 258))
        self.y = float(rng.uniform(self.floor[0] + 12, self.floor[1] - 4))
        # Most events extend from x towards the middle of the picture.
        self.side = 1 if (self.x < 160) == (rng.random() < 0.85) else -1
        self.seed = int(rng.integers(2**31))

    @property
    def size(self) -> float:
        """Factor of all lengths at the event's place."""
        return size_at(self.y)

    @abstractmethod
    def calm(self, stage: Stage, toward: float) -> None:
        """Draw the actors before and after the event.

        Args:
            stage: The frame.
            toward: 0 far from the event, increasing to 1 just before it.
        """

    @abstractmethod
    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        """Draw the event, with one role per region."""

    @abstractmethod
    def tell(self, name: Namer) -> str:
        """A clause that describes the event, without the place."""

    @abstractmethod
    def regions(self, name: Namer) -> dict[str, Phrase]:
        """One phrase per role."""

    def where_in_words(self, name: Namer) -> str:
        """The place, in English: 'in a shop'."""
        return name.pick(*PLACES[self.place][0])

    def person(self, rng: np.random.Generator, *acts: str, masked: bool = False) -> Passer:
        """A person of the size that fits the event's place, who has one of ``acts`` in calm times."""
        near = (max(self.y - 14, self.floor[0]), min(self.y + 10, self.floor[1]))
        passer = Passer.sample(rng, near, acts[rng.integers(len(acts))], x=self.x, masked=masked)
        return replace(passer, height=float(rng.uniform(118, 134)) * self.size)


def approach(stage: Stage, passer: Passer, x: float, y: float, toward: float) -> None:
    """Draw a person who leaves an everyday path for (x, y)."""
    if not toward:
        passer.draw(stage)
        return
    at, facing, phase = passer.place(stage.frame)
    new_x = at + toward * (x - at)
    new_y = passer.y + toward * (y - passer.y)
    if abs(x - at) > 8:
        facing = 1 if x > at else -1
    stage.put(
        new_y,
        lambda image: draw_person(image, passer.look, new_x, new_y, passer.height, facing, walk(phase, 0.5)).box,
    )


def put_person(
    stage: Stage, passer: Passer, x: float, y: float, facing: int, pose: Pose, role: str | None = None
) -> None:
    """Draw a person at (x, y) in a pose."""
    stage.put(y, lambda image: draw_person(image, passer.look, x, y, passer.height, facing, pose).box, role)


def no_box(_: Box) -> None:
    """Callback for a part without a box."""
