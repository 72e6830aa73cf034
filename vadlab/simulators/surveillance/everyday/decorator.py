"""A person who paints a wall or cleans a window."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ...common.palette import COLOURS, jitter
from ...common.person import Box, draw_person, reach
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer

# Act -> its phrase in captions, in English and Chinese.
WALL_ACTS = {
    'paint': ('painting the wall with a roller', '用滚筒刷墙'),
    'poster': ('putting up a poster', '贴海报'),
    'clean': ('cleaning a window', '擦窗户'),
}


@dataclass(frozen=True)
class Decorator(Actor):
    """A person at work on a wall, with the painted patch, poster or window."""

    worker: Passer
    act: str
    x: float
    side: int
    paint: tuple[int, int, int]

    @classmethod
    def sample(
        cls, rng: np.random.Generator, floor: tuple[float, float], act: str | None = None, x: float | None = None
    ) -> 'Decorator':
        """A random worker at ``x``; the wall is at the far side of the floor."""
        worker = Passer.sample(rng, (floor[0], floor[0] + 14), 'stand')
        return cls(
            worker,
            act or list(WALL_ACTS)[rng.integers(len(WALL_ACTS))],
            float(rng.uniform(50, 270)) if x is None else x,
            1 if rng.random() < 0.5 else -1,
            jitter(list(COLOURS.values())[rng.integers(len(COLOURS))], rng),
        )

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position, pixels."""
        return self.worker.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put wall and worker on the stage under one role."""
        h = self.worker.height
        stage.put(self.y - 5, self._wall, role)
        pose = reach(0.16 * stage.frame, 1.9 + 0.2 * math.sin(0.1 * stage.frame))
        stage.put(
            self.y,
            lambda image: draw_person(image, self.worker.look, self.x, self.y, h, self.side, pose).box,
            role,
        )

    def _wall(self, image: np.ndarray) -> Box:
        h = self.worker.height
        cx, cy = self.x + self.side * 0.48 * h, self.y - 0.72 * h
        w, t = (0.36, 0.3) if self.act != 'poster' else (0.2, 0.28)
        a, b = (round(cx - w * h), round(cy - t * h)), (round(cx + w * h), round(cy + t * h))
        if self.act == 'clean':
            cv2.rectangle(image, a, b, (132, 172, 190), -1)
            cv2.line(image, (a[0] + 4, b[1] - 4), (b[0] - 6, a[1] + 4), (190, 214, 222), 2)
            cv2.rectangle(image, a, b, (70, 60, 52), 2)
        else:
            cv2.rectangle(image, a, b, self.paint, -1)
            if self.act == 'poster':
                cv2.rectangle(image, a, b, (230, 230, 226), 2)
                cv2.circle(image, (round(cx), round(cy)), round(0.1 * h), (40, 40, 60), -1)
        return (*a, *b)

    def phrase(self, name: Namer) -> Phrase:
        """The worker and the work."""
        return Phrase(name.person(self.worker.look), WALL_ACTS[self.act][name.chinese], chinese=name.chinese)
