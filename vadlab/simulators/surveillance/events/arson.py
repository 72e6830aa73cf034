"""Somebody with a torch sets fire to a bin, a stack of boxes, a bench or a cabinet."""

import cv2
import numpy as np

from ...common.person import Box, Pose, draw_person, reach, stand
from ...common.scene import Scene
from .. import effects
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, approach, no_box

_THINGS = {'bin': '垃圾桶', 'stack of boxes': '一堆纸箱', 'bench': '长椅', 'cabinet': '柜子'}
_COLOURS = {'bin': (70, 110, 80), 'stack of boxes': (180, 138, 90), 'bench': (124, 84, 52), 'cabinet': (130, 132, 140)}


class Arson(Event):
    """Somebody with a torch sets fire to a thing."""

    kind = 'Arson'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.arsonist = self.person(rng, 'walk', 'stand', 'box')
        self.thing = list(_THINGS)[rng.integers(len(_THINGS))]
        self.tint = int(rng.integers(-18, 18))
        self.extent = float(rng.uniform(46, 62)) * self.size
        self.fire = float(rng.uniform(62, 90)) * self.size

    @property
    def _at(self) -> tuple[float, float]:
        return self.x + self.side * (0.32 * self.arsonist.height + 0.45 * self.extent), self.y - 3

    def _object(self, image: np.ndarray, burnt: bool) -> None:
        x, y = (round(v) for v in self._at)
        s = round(self.extent)
        colour = tuple(int(np.clip(c + self.tint, 0, 255) * (0.4 if burnt else 1)) for c in _COLOURS[self.thing])
        edge = tuple(int(0.6 * c) for c in colour)
        if self.thing == 'bench':
            for rise in (2, 4):
                cv2.rectangle(image, (x - s // 2, y - s // rise), (x + s // 2, y - s // rise + 3), colour, -1)
            for lx in (x - s // 2 + 3, x + s // 2 - 3):
                cv2.line(image, (lx, y - s // 2), (lx, y), edge, 2)
            return
        if self.thing == 'stack of boxes':
            for dx, dy in ((-0.5, 0), (0.02, 0), (-0.25, 0.46)):
                a = (x + round(dx * s), y - round((dy + 0.45) * s))
                b = (x + round((dx + 0.48) * s), y - round(dy * s))
                cv2.rectangle(image, a, b, colour, -1)
                cv2.rectangle(image, a, b, edge, 1)
            return
        half = s // 3 if self.thing == 'bin' else s // 2
        cv2.rectangle(image, (x - half, y - s), (x + half, y), colour, -1)
        cv2.rectangle(image, (x - half, y - s), (x + half, y), edge, 1)
        cv2.line(image, (x - half, y - round(0.75 * s)), (x + half, y - round(0.75 * s)), edge, 2)

    def calm(self, stage: Stage, toward: float) -> None:
        stage.put(self.y - 3, lambda image: self._object(image, burnt=False))
        approach(stage, self.arsonist, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        x, y = self._at
        grown = 0.6 + 0.4 * min(progress / 0.35, 1.0)
        stage.put(y, lambda image: self._object(image, burnt=True))
        height, width = self.fire * grown, 0.8 * self.fire * grown
        smoke, clock = 0.6 * self.fire * grown, stage.clock
        stage.light(lambda image: no_box(effects.draw_smoke(image, x, y - 0.6 * height, smoke, clock, 34, 1.3)))
        stage.light(lambda image: effects.draw_fire(image, x, y, width, height, stage.rng), 'fire')
        at = self.x - self.side * 18 * max(progress - 0.4, 0)
        pose = reach(5 * elapsed_s, 1.25) if progress < 0.75 else stand(elapsed_s)
        stage.put(self.y, lambda image: self._arsonist(image, stage, at, pose), 'arsonist')

    def _arsonist(self, image: np.ndarray, stage: Stage, x: float, pose: Pose) -> Box:
        h = self.arsonist.height
        figure = draw_person(image, self.arsonist.look, x, self.y, h, self.side, pose)
        hx, hy = figure.near_hand
        tip = hx + self.side * 0.1 * h
        cv2.line(image, (round(hx), round(hy)), (round(tip), round(hy - 0.13 * h)), (120, 84, 50), 2)
        stage.light(lambda lit: no_box(effects.draw_fire(lit, tip, hy - 0.1 * h, 0.12 * h, 0.19 * h, stage.rng)))
        return figure.box

    def tell(self, name: Namer) -> str:
        a = name.person(self.arsonist.look)
        if name.chinese:
            thing = _THINGS[self.thing]
            return name.pick(f'{a}点燃{thing}', f'{a}纵火，{thing}冒出火焰和浓烟', f'{thing}着火了')
        return name.pick(
            f'{a} is setting fire to a {self.thing}',
            f'{a} sets a {self.thing} on fire with a torch',
            f'{a} stands beside a burning {self.thing}',
            f'fire and dark smoke rise from a {self.thing} beside {a}',
            f'{a} commits arson and a {self.thing} burns',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.person(self.arsonist.look)
        if name.chinese:
            fire = Phrase(_THINGS[self.thing], '在燃烧', chinese=True)
            return {'fire': fire, 'arsonist': Phrase(a, '手持火把', chinese=True)}
        return {
            'fire': Phrase(f'a {self.thing}', f'{name.pick("burning", "on fire")} {self.where_in_words(name)}'),
            'arsonist': Phrase(a, name.pick('holding a torch', 'setting a fire')),
        }
