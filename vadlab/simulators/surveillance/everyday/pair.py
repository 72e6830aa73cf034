"""Two people close together."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...common.person import Pose, draw_person, stand, walk
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer

# Act -> its phrase in captions, in English and Chinese, and the distance of the two from their middle, in heights.
PAIR_ACTS: dict[str, tuple[str, str, float]] = {
    'talk': ('talking to each other', '交谈', 0.26),
    'shake': ('shaking hands', '握手', 0.26),
    'hug': ('hugging', '拥抱', 0.13),
    'dance': ('dancing', '跳舞', 0.2),
    'clap': ('clapping each other on the shoulder', '互相拍肩', 0.2),
    'ball': ('playing with a ball', '玩球', 0.42),
}


def _pose(act: str, beat: float) -> Pose:
    pose = stand(beat)
    if act == 'shake':
        return replace(pose, near_arm=(1.0, 0.35))
    if act == 'hug':
        return replace(pose, lean=0.12, near_arm=(1.25, 0.45), far_arm=(1.5, 0.3))
    if act == 'dance':
        step = walk(3 * beat, 0.35)
        return replace(step, lean=0.06 * math.sin(3 * beat), near_arm=(1.3, 0.9), far_arm=(0.9, 0.7))
    if act == 'clap':
        return replace(pose, near_arm=(1.45, 0.25 + 0.2 * math.sin(2 * beat)))
    if act == 'ball':
        return replace(walk(2 * beat, 0.3), near_arm=(1.1, 0.5 + 0.3 * math.sin(2 * beat)))
    return replace(pose, near_arm=(0.3, 1.3 + 0.4 * math.sin(2 * beat)))


@dataclass(frozen=True)
class Pair(Actor):
    """Two people who talk, shake hands, hug, dance or play."""

    first: Passer
    second: Passer
    act: str
    x: float

    @classmethod
    def sample(
        cls, rng: np.random.Generator, floor: tuple[float, float], act: str | None = None, x: float | None = None
    ) -> 'Pair':
        """A random pair at ``x``."""
        first, second = Passer.sample(rng, floor, 'stand'), Passer.sample(rng, floor, 'stand')
        second = replace(second, y=first.y, height=first.height * float(rng.uniform(0.92, 1.08)))
        act = act or list(PAIR_ACTS)[rng.integers(len(PAIR_ACTS))]
        return cls(first, second, act, float(rng.uniform(50, 270)) if x is None else x)

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position of both, pixels."""
        return self.first.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put both on the stage under one role."""
        gap = PAIR_ACTS[self.act][2] * self.first.height
        turn = 1 if self.act != 'dance' or math.sin(0.09 * stage.frame + self.first.phase) > 0 else -1
        for person, side in ((self.first, turn), (self.second, -turn)):
            pose = _pose(self.act, person.phase + 0.1 * stage.frame)
            stage.put(
                person.y,
                lambda image, p=person, s=side, pose=pose: (  # type: ignore[misc]
                    draw_person(image, p.look, self.x - s * gap, p.y, p.height, s, pose).box
                ),
                role,
            )
        if self.act == 'ball':
            self._ball(stage)

    def _ball(self, stage: Stage) -> None:
        h = self.first.height
        swing = math.sin(0.14 * stage.frame + self.second.phase)
        at = (round(self.x + 0.22 * h * swing), round(self.y - 0.5 * h - 0.2 * h * (1 - swing * swing)))
        radius = max(round(0.07 * h), 2)

        def paint(image: np.ndarray) -> None:
            cv2.circle(image, at, radius, self.first.accessory, -1)

        stage.put(self.y + 1, paint)

    def phrase(self, name: Namer) -> Phrase:
        """Both people and the act."""
        a, b = name.person(self.first.look), name.person(self.second.look)
        english, chinese, _ = PAIR_ACTS[self.act]
        if name.chinese:
            return Phrase(f'{a}和{b}', chinese, chinese=True)
        return Phrase(f'{a} and {b}', english, plural=True)
