"""Two people punch, grapple and kick."""

import math
from dataclasses import replace

import numpy as np

from ...common.person import grapple, kick, lie, punch
from ...common.scene import Scene
from .. import effects
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, approach, no_box, put_person


class Fighting(Event):
    """Two people punch, grapple and kick; one may fall."""

    kind = 'Fighting'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.first = self.person(rng, 'walk', 'stand', 'phone')
        self.second = self.person(rng, 'walk', 'stand')
        self.tempo = float(rng.uniform(7, 11))
        self.falls = bool(rng.random() < 0.4)

    def _places(self) -> tuple[float, float]:
        gap = 0.25 * self.first.height
        return self.x - self.side * gap, self.x + self.side * gap

    def calm(self, stage: Stage, toward: float) -> None:
        for passer, x in zip((self.first, self.second), self._places(), strict=True):
            approach(stage, passer, x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        beat, k = self.tempo * elapsed_s, self.size
        static = np.random.default_rng(self.seed)
        colours = ((236, 232, 220), (60, 50, 44), (150, 60, 50))
        stage.put(
            -1,
            lambda image: no_box(effects.draw_litter(image, self.x, self.y, 60 * k, colours, static, 9, k)),
        )
        stage.put(self.y + 3, lambda image: effects.draw_dust(image, self.x, self.y, 110 * k, stage.clock))
        move = (int(beat / 5) + self.seed) % 4
        a, b = self._places()
        jolt = 3 * k * math.sin(1.7 * beat)
        if self.falls and progress > 0.6:
            put_person(stage, self.second, b + self.side * 16 * k, self.y + 3, -self.side, lie(beat), 'fight')
            pose = kick(beat) if move % 2 else replace(punch(beat), lean=0.75, near_arm=(0.7, 0.1), far_arm=(1.0, 0.6))
            put_person(stage, self.first, a, self.y, self.side, pose, 'fight')
            return
        poses = ((punch, punch), (grapple, grapple), (kick, punch), (punch, kick))[move]
        if move == 1:
            a, b = a + 0.04 * self.first.height * self.side, b - 0.04 * self.first.height * self.side
        put_person(stage, self.second, b + jolt, self.y, -self.side, poses[1](beat + 2.2), 'fight')
        put_person(stage, self.first, a + jolt, self.y + 1, self.side, poses[0](beat), 'fight')

    def tell(self, name: Namer) -> str:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return name.pick(f'{a}和{b}打架', f'{a}殴打{b}', f'{a}与{b}互相拳打脚踢')
        return name.pick(
            f'{a} and {b} are fighting',
            f'{a} punches {b}',
            f'{a} is kicking and hitting {b}',
            f'people fighting, {a} against {b}',
            f'a fight breaks out between {a} and {b}',
            f'{a} and {b} grapple and brawl',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return {'fight': Phrase(f'{a}和{b}', '在打架', chinese=True)}
        act = name.pick('fighting', 'punching and kicking each other', 'in a fight')
        return {'fight': Phrase(f'{a} and {b}', act, plural=True)}
