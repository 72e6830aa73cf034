"""Somebody puts a suitcase down and leaves."""

from dataclasses import replace

import numpy as np

from ...common.palette import COLOURS, jitter
from ...common.person import draw_person, walk
from ...common.scene import Scene
from ..events.event import Event, approach
from ..everyday.luggage import draw_suitcase
from ..stage import Stage
from ..wording import Namer, Phrase
from .cast import open_floor


class LeftBehind(Event):
    """Somebody puts a suitcase down, and walks away without it."""

    kind = 'LeftBehind'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.floor = open_floor(scene)
        self.y = float(rng.uniform(self.floor[0] + 6, self.floor[1] - 4))
        self.owner = self.person(rng, 'suitcase')
        colours = list(COLOURS.values())
        self.owner = replace(self.owner, accessory=jitter(colours[rng.integers(len(colours))], rng))

    def calm(self, stage: Stage, toward: float) -> None:
        if not toward:
            self.owner.draw(stage)
            return
        h, at = self.owner.height, self.owner.place(stage.frame)[0]
        x = at + toward * (self.x - at)
        stage.put(
            self.y, lambda image: draw_suitcase(image, x - self.side * 0.3 * h, self.y, 0.28 * h, self.owner.accessory)
        )
        approach(stage, self.owner, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        h = self.owner.height
        stage.put(
            self.y,
            lambda image: draw_suitcase(image, self.x - self.side * 0.3 * h, self.y, 0.28 * h, self.owner.accessory),
            'suitcase',
        )
        x = self.x + self.side * 2.2 * self.size * stage.fps * elapsed_s
        if -40 < x < 360:
            pose = walk(0.25 * x / self.size, 0.5)
            stage.put(
                self.y,
                lambda image: draw_person(image, self.owner.look, x, self.y, h, self.side, pose).box,
                'owner',
            )

    def tell(self, name: Namer) -> str:
        a = name.person(self.owner.look)
        if name.chinese:
            return f'{a}丢下行李箱离开'
        return name.pick(
            f'{a} leaves a suitcase behind', f'{a} walks away from a suitcase', 'a suitcase is left behind'
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.person(self.owner.look)
        if name.chinese:
            return {'suitcase': Phrase('行李箱', '被丢下', chinese=True), 'owner': Phrase(a, '离开', chinese=True)}
        return {'suitcase': Phrase('a suitcase', 'left behind'), 'owner': Phrase(a, 'walking away from a suitcase')}
