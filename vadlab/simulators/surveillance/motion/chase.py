"""Somebody runs away, and another one runs after."""

from dataclasses import replace

import numpy as np

from ...common.person import draw_person, walk
from ...common.scene import Scene
from ..events.event import Event, approach
from ..stage import Stage
from ..wording import Namer, Phrase
from .cast import open_floor


class Chase(Event):
    """Somebody runs away with turns, and another one runs after at a shrinking distance."""

    kind = 'Chase'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.floor = open_floor(scene)
        self.y = float(rng.uniform(self.floor[0] + 6, self.floor[1] - 4))
        self.first = self.person(rng, 'walk', 'stand', 'phone')
        self.second = self.person(rng, 'walk', 'stand')
        self.speed = float(rng.uniform(5.2, 6.6)) * self.size

    def calm(self, stage: Stage, toward: float) -> None:
        approach(stage, self.first, self.x, self.y, toward)
        approach(stage, self.second, self.x - self.side * 1.3 * self.first.height, self.y, toward)

    def _place(self, way: float) -> tuple[float, int]:
        """Position and facing after ``way`` pixels of running back and forth."""
        span = 276.0
        start = self.x - 22 if self.side > 0 else 298 - self.x
        at = (start + way) % (2 * span)
        x, facing = (at, 1) if at < span else (2 * span - at, -1)
        return (22 + x, facing) if self.side > 0 else (298 - x, -facing)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        way = self.speed * stage.fps * elapsed_s
        behind = (1.3 - 0.7 * progress) * self.first.height
        for passer, done, forward in ((self.first, way, False), (self.second, way - behind, True)):
            x, facing = self._place(done)
            pose = replace(walk(0.17 * done / self.size, 0.95), lean=0.28)
            if forward:
                pose = replace(pose, near_arm=(1.2, 0.3))
            stage.put(
                self.y,
                lambda image, p=passer, x=x, f=facing, pose=pose: (  # type: ignore[misc]
                    draw_person(image, p.look, x, self.y, p.height, f, pose).box
                ),
                'chase',
            )

    def tell(self, name: Namer) -> str:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return f'{b}追赶{a}'
        return name.pick(f'{b} chases {a}', f'{a} runs away from {b}', f'a chase, {b} after {a}')

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return {'chase': Phrase(b, f'追赶{a}', chinese=True)}
        return {'chase': Phrase(b, f'chasing {a}')}
