"""A person who takes a picture of another one."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...common.person import Box, aim, draw_person, hands_up, wave
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer


@dataclass(frozen=True)
class Photographer(Actor):
    """One person holds up a camera, the other waves or raises both arms."""

    first: Passer
    second: Passer
    x: float
    side: int
    arms: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float], x: float | None = None) -> 'Photographer':
        """Two random people with their middle at ``x``."""
        first, second = Passer.sample(rng, floor, 'stand'), Passer.sample(rng, floor, 'stand')
        second = replace(second, y=first.y, height=first.height * float(rng.uniform(0.92, 1.08)))
        return cls(
            first,
            second,
            float(rng.uniform(60, 260)) if x is None else x,
            1 if rng.random() < 0.5 else -1,
            bool(rng.random() < 0.5),
        )

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position of both, pixels."""
        return self.first.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put both on the stage under one role."""
        gap, beat = 0.46 * self.first.height, self.first.phase + 0.1 * stage.frame
        stage.put(self.y, lambda image: self._taker(image, self.x - self.side * gap, beat), role)
        pose = (hands_up if self.arms else wave)(beat)
        stage.put(
            self.y,
            lambda image: (
                draw_person(
                    image, self.second.look, self.x + self.side * gap, self.y, self.second.height, -self.side, pose
                ).box
            ),
            role,
        )

    def _taker(self, image: np.ndarray, x: float, beat: float) -> Box:
        h = self.first.height
        pose = replace(aim(beat), near_arm=(1.5, 0.5), far_arm=(1.4, 0.6))
        figure = draw_person(image, self.first.look, x, self.y, h, self.side, pose)
        hx, hy = (round(v) for v in figure.near_hand)
        half = max(round(0.045 * h), 2)
        cv2.rectangle(image, (hx - half, hy - half), (hx + half, hy + half), (60, 62, 70), -1)
        return figure.box

    def phrase(self, name: Namer) -> Phrase:
        """Both people."""
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return Phrase(a, f'给{b}拍照', chinese=True)
        return Phrase(a, f'taking a picture of {b}')
