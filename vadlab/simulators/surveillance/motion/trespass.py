"""Somebody goes where nobody goes."""

import numpy as np

from ...common.person import draw_person, walk
from ...common.scene import Scene
from ..events.event import Event, approach
from ..ground import walkable
from ..stage import Stage
from ..wording import Namer, Phrase
from .cast import open_floor


class Trespass(Event):
    """Somebody crosses the line and walks along the strip behind it."""

    kind = 'Trespass'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.floor = open_floor(scene)
        self.y = self.floor[0] + 2
        self.walker = self.person(rng, 'walk')
        self.strip = walkable(scene)[0] + float(rng.uniform(4, 14))

    def calm(self, stage: Stage, toward: float) -> None:
        approach(stage, self.walker, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        deep = min(progress / 0.1, 1.0)
        y = self.y + deep * (self.strip - self.y)
        span = 250.0
        way = (self.x - 35 if self.side > 0 else 285 - self.x) + 1.4 * self.size * stage.fps * elapsed_s
        at = way % (2 * span)
        x, facing = (at, 1) if at < span else (2 * span - at, -1)
        x, facing = (35 + x, facing) if self.side > 0 else (285 - x, -facing)
        h, pose = self.walker.height * (1 - 0.08 * deep), walk(0.25 * way / self.size, 0.5)
        stage.put(y, lambda image: draw_person(image, self.walker.look, x, y, h, facing, pose).box, 'trespasser')

    def tell(self, name: Namer) -> str:
        a = name.person(self.walker.look)
        if name.chinese:
            return f'{a}越过界线'
        return name.pick(f'{a} trespasses behind the line', f'{a} walks where nobody goes', f'{a} crosses the line')

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.person(self.walker.look)
        if name.chinese:
            return {'trespasser': Phrase(a, '在界线后面走', chinese=True)}
        return {'trespasser': Phrase(a, name.pick('trespassing', 'walking behind the line'))}
