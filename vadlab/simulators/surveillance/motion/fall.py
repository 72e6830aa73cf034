"""Somebody who walks falls and stays on the ground."""

import numpy as np

from ...common.person import Pose, lie, walk
from ...common.scene import Scene
from ..events.event import Event, approach, put_person
from ..stage import Stage
from ..wording import Namer, Phrase
from .cast import open_floor


class Fall(Event):
    """A fall within the first fifth, then a person on the ground who hardly moves."""

    kind = 'Fall'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.floor = open_floor(scene)
        self.y = float(rng.uniform(self.floor[0] + 6, self.floor[1] - 4))
        self.walker = self.person(rng, 'walk')

    def calm(self, stage: Stage, toward: float) -> None:
        approach(stage, self.walker, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        down = min(progress / 0.2, 1.0) ** 2
        upright, lying = walk(5 * min(elapsed_s, 0.6), 0.5), lie(elapsed_s)

        def between(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
            return a[0] + down * (b[0] - a[0]), a[1] + down * (b[1] - a[1])

        pose = Pose(
            near_arm=between(upright.near_arm, lying.near_arm),
            far_arm=between(upright.far_arm, lying.far_arm),
            near_leg=between(upright.near_leg, lying.near_leg),
            far_leg=between(upright.far_leg, lying.far_leg),
            tilt=down * lying.tilt,
        )
        put_person(stage, self.walker, self.x, self.y, self.side, pose, 'fallen')

    def tell(self, name: Namer) -> str:
        a = name.person(self.walker.look)
        if name.chinese:
            return f'{a}摔倒在地'
        return name.pick(f'{a} falls to the ground', f'{a} has a fall', f'{a} falls and does not get up')

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.person(self.walker.look)
        if name.chinese:
            return {'fallen': Phrase(a, '摔倒', chinese=True)}
        return {'fallen': Phrase(a, name.pick('falling to the ground', 'who has fallen'))}
