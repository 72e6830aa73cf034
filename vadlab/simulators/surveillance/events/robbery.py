"""An armed, masked person robs somebody who raises both hands."""

import math

import cv2
import numpy as np

from ...common.person import Box, aim, draw_person, hands_up, kneel_hands_up
from ...common.scene import Scene
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, approach, put_person


class Robbery(Event):
    """An armed, masked person robs somebody who raises both hands."""

    kind = 'Robbery'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.robber = self.person(rng, 'walk', 'stand', masked=True)
        self.victim = self.person(rng, 'walk', 'stand', 'phone')
        self.kneels = bool(rng.random() < 0.3)
        self.gap = float(rng.uniform(0.42, 0.55))
        self.bag = bool(rng.random() < 0.6)
        self.long_gun = bool(rng.random() < 0.6)

    def _places(self) -> tuple[float, float]:
        gap = self.gap * self.robber.height
        return self.x - self.side * gap, self.x + self.side * gap

    def calm(self, stage: Stage, toward: float) -> None:
        for passer, x in zip((self.robber, self.victim), self._places(), strict=True):
            approach(stage, passer, x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        a, b = self._places()
        down = self.kneels and progress > 0.45
        pose = (kneel_hands_up if down else hands_up)(3 * elapsed_s + self.seed)
        put_person(stage, self.victim, b, self.y, -self.side, pose, 'victim')
        stage.put(self.y + 1, lambda image: self._robber(image, a, elapsed_s), 'robber')

    def _robber(self, image: np.ndarray, x: float, elapsed_s: float) -> Box:
        h = self.robber.height
        x += 2 * math.sin(2 * elapsed_s)
        figure = draw_person(image, self.robber.look, x, self.y + 1, h, self.side, aim(4 * elapsed_s))
        hx, hy = (round(v) for v in figure.near_hand)
        barrel, grip = round((0.36 if self.long_gun else 0.24) * h), round(0.09 * h)
        stock = round((0.2 if self.long_gun else 0.0) * h)
        thick = max(round(0.055 * h), 3)
        cv2.line(image, (hx - self.side * stock, hy), (hx + self.side * barrel, hy - 2), (8, 8, 10), thick)
        cv2.line(image, (hx, hy - 1), (hx - self.side, hy + grip), (8, 8, 10), thick - 1)
        x0, y0, x1, y1 = figure.box
        if self.bag:
            bx, by = (round(v) for v in figure.far_hand)
            axes = (round(0.09 * h), round(0.11 * h))
            cv2.ellipse(image, (bx, by + axes[1]), axes, 0, 0, 360, (104, 80, 50), -1, cv2.LINE_AA)
        tip = hx + self.side * barrel
        return (min(x0, tip), y0, max(x1, tip), y1)

    def tell(self, name: Namer) -> str:
        a, b = name.person(self.robber.look), name.person(self.victim.look)
        if name.chinese:
            return name.pick(f'{a}持枪抢劫{b}', f'{a}用枪指着{b}')
        return name.pick(
            f'{a} robs {b} at gunpoint',
            f'{a} points a gun at {b}',
            f'{b} raises both hands while {a} aims a gun',
            f'{b} being robbed by {a} with a gun',
            f'{a} holds up {b}',
            f'an armed robbery, {a} with a gun against {b}',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a, b = name.person(self.robber.look), name.person(self.victim.look)
        if name.chinese:
            return {'robber': Phrase(a, '举枪', chinese=True), 'victim': Phrase(b, '在枪口前举起双手', chinese=True)}
        return {
            'robber': Phrase(a, name.pick('pointing a gun', 'aiming a gun', 'robbing someone with a gun')),
            'victim': Phrase(b, name.pick('raising both hands before a gun', 'being robbed')),
        }
