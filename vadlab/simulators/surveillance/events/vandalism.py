"""Somebody sprays graffiti on a wall, or smashes a window or a parked car with a bat."""

import math
from dataclasses import replace

import cv2
import numpy as np

from ...common.person import Box, draw_person, reach, swing
from ...common.scene import Scene
from ...common.vehicle import Vehicle, draw_vehicle
from .. import effects
from ..everyday.traffic import sized
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, approach

_GLASS = ((214, 236, 242), (168, 206, 220))
_PAINTS = ((235, 30, 60), (40, 220, 70), (250, 80, 220), (40, 130, 250), (250, 230, 40), (245, 245, 245))


class Vandalism(Event):
    """Somebody sprays graffiti on a wall, or smashes a window or a parked car with a bat."""

    kind = 'Vandalism'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        modes = ('spray', 'window', 'car') if scene.outdoor else ('spray', 'window')
        self.mode = modes[rng.integers(len(modes))]
        if self.mode != 'car':  # walls are at the far side of the floor
            self.y = float(rng.uniform(self.floor[0] + 2, self.floor[0] + 16))
        self.vandal = self.person(rng, 'walk', 'stand', 'phone')
        self.width, self.height = float(rng.uniform(105, 140)) * self.size, float(rng.uniform(70, 95)) * self.size
        self.paint = tuple(_PAINTS[i] for i in rng.permutation(len(_PAINTS))[:3])
        self.strokes = self._scribble(rng)
        self.cracks = rng.uniform(0, 1, (9, 3))
        self.vehicle = sized(Vehicle.sample(rng), self.y)
        self.damage = rng.random((16, 2))

    def _scribble(self, rng: np.random.Generator) -> list[np.ndarray]:
        strokes = []
        for i in range(4):
            t = np.linspace(0, 2 * math.pi, 26)
            a, b, c, d = rng.uniform(1, 3.4, 4)
            x = (t / (2 * math.pi) - 0.5) * 0.95 + 0.1 * np.sin(a * t + c)
            y = 0.26 * np.sin(b * 1.6 * t + d) + 0.13 * (i - 1.5)
            strokes.append(np.stack([x * self.width, y * self.height], 1))
        return strokes

    @property
    def _target_x(self) -> float:
        return self.x + self.side * (0.28 * self.vandal.height + 0.42 * self.width)

    def _furniture(self, stage: Stage, progress: float | None) -> None:
        """Draw what is smashed; before and after the event it is intact."""
        role = None if progress is None else 'target'
        if self.mode == 'car':
            damage = 0.0 if progress is None else 0.9
            stage.put(self.y - 4, lambda image: self._car(image, damage), role)
        elif self.mode == 'window':
            stage.put(self.y - 6, lambda image: self._window(image, progress), role)

    def _car(self, image: np.ndarray, damage: float) -> Box:
        x = self.x + self.side * (0.2 * self.vandal.height + 0.5 * self.vehicle.length)
        box = draw_vehicle(image, self.vehicle, x, self.y - 4, -self.side, 0.0, damage, self.damage)
        if damage:
            near, static = x - self.side * 0.3 * self.vehicle.length, np.random.default_rng(self.seed)
            effects.draw_litter(image, near, self.y, 55 * self.size, _GLASS, static, 18, self.size)
        return box

    def _window(self, image: np.ndarray, progress: float | None) -> Box:
        x, half = self._target_x, 0.45 * self.width
        top, low = self.y - 1.35 * self.height, self.y - 0.3 * self.height
        a, b = (round(x - half), round(top)), (round(x + half), round(low))
        cv2.rectangle(image, a, b, (120, 158, 176), -1)
        cv2.line(image, (a[0] + 4, b[1] - 4), (b[0] - 10, a[1] + 4), (176, 206, 216), 2)
        cv2.rectangle(image, a, b, (70, 60, 52), 2)
        if progress is None:
            return (*a, *b)
        cx, cy, hole, count = x - self.side * 0.2 * half, 0.5 * (top + low), [], len(self.cracks)
        for i, (r, bend, far) in enumerate(self.cracks):
            angle = 2 * math.pi * (i + 0.5 * bend) / count
            length = (0.4 + 0.25 * min(progress * 3, 1)) * self.height * (0.8 + 0.5 * far)
            end = (
                int(np.clip(cx + length * math.cos(angle), a[0], b[0])),
                int(np.clip(cy + length * math.sin(angle), a[1], b[1])),
            )
            cv2.line(image, (round(cx), round(cy)), end, (240, 246, 250), 1, cv2.LINE_AA)
            near = (0.2 + 0.2 * r) * self.height
            hole.append((cx + near * math.cos(angle), cy + near * math.sin(angle)))
        cv2.fillPoly(image, [np.array(hole).round().astype(np.int32)], (18, 20, 24))
        static = np.random.default_rng(self.seed)
        effects.draw_litter(image, cx, self.y + 2, 50 * self.size, _GLASS, static, 18, self.size)
        return (a[0], a[1], b[0], self.y + 6 * self.size)

    def calm(self, stage: Stage, toward: float) -> None:
        self._furniture(stage, None)
        approach(stage, self.vandal, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        self._furniture(stage, progress)
        if self.mode == 'spray':
            stage.put(self.y - 4, lambda image: self._graffiti(image, progress), 'target')
        stage.put(self.y, lambda image: self._vandal(image, elapsed_s), 'vandal')

    def _graffiti(self, image: np.ndarray, progress: float) -> Box:
        x, y = self._target_x, self.y - 0.66 * self.vandal.height
        shown, thick = 0.45 + 0.55 * min(progress / 0.6, 1.0), max(round(9 * self.size), 3)
        for i, stroke in enumerate(self.strokes):
            points = (stroke[: max(int(shown * len(stroke)), 3)] + (x, y)).round().astype(np.int32)
            cv2.polylines(image, [points], False, (20, 20, 20), thick + 2, cv2.LINE_AA)
            cv2.polylines(image, [points], False, self.paint[i % 3], thick, cv2.LINE_AA)
        return (x - 0.55 * self.width, y - 0.5 * self.height, x + 0.55 * self.width, y + 0.5 * self.height)

    def _vandal(self, image: np.ndarray, elapsed_s: float) -> Box:
        h = self.vandal.height
        if self.mode == 'spray':
            figure = draw_person(image, self.vandal.look, self.x, self.y, h, self.side, reach(4 * elapsed_s))
            hx, hy = (round(v) for v in figure.near_hand)
            half = max(round(0.025 * h), 1)
            cv2.rectangle(image, (hx - half, hy - 4 * half), (hx + half, hy + half), (210, 214, 220), -1)
            effects.draw_halo(image, hx + self.side * 0.12 * h, hy - 0.08 * h, 0.24 * h, self.paint[0], 0.85)
            return figure.box
        pose = replace(swing(6 * elapsed_s))
        figure = draw_person(image, self.vandal.look, self.x, self.y, h, self.side, pose)
        hand_x, hand_y = figure.near_hand
        angle = 2.5 + 0.8 * math.sin(6 * elapsed_s)
        end = (hand_x + self.side * 0.42 * h * math.sin(angle), hand_y + 0.42 * h * math.cos(angle))
        thick = max(round(0.065 * h), 3)
        at = (round(hand_x), round(hand_y))
        cv2.line(image, at, (round(end[0]), round(end[1])), (206, 160, 98), thick, cv2.LINE_AA)
        x0, y0, x1, y1 = figure.box
        return (min(x0, end[0]), min(y0, end[1]), max(x1, end[0]), y1)

    def tell(self, name: Namer) -> str:
        a = name.person(self.vandal.look)
        if name.chinese:
            return {
                'spray': name.pick(f'{a}在墙上喷涂鸦', f'{a}用喷漆破坏墙面'),
                'window': name.pick(f'{a}用球棒砸窗户', f'{a}打碎玻璃'),
                'car': name.pick(f'{a}用球棒砸车', f'{a}破坏一辆停着的汽车'),
            }[self.mode]
        if self.mode == 'spray':
            return name.pick(
                f'{a} sprays graffiti on the wall',
                f'{a} vandalises the wall with spray paint',
                f'{a} is damaging property with graffiti',
            )
        thing = 'the window' if self.mode == 'window' else name.vehicle(self.vehicle)
        return name.pick(
            f'{a} smashes {thing} with a bat',
            f'{a} is vandalising {thing}',
            f'{a} breaks the glass of {thing} with a bat',
            f'{a} is damaging property, {thing}, with a bat',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.person(self.vandal.look)
        thing = 'a window' if self.mode == 'window' else name.vehicle(self.vehicle)
        if name.chinese:
            ruined = {'spray': '墙上的涂鸦', 'window': '被打碎的窗户', 'car': f'{thing}被砸坏'}[self.mode]
            act = '喷涂鸦' if self.mode == 'spray' else '挥舞球棒'
            return {'vandal': Phrase(a, act, chinese=True), 'target': Phrase(ruined, '', chinese=True)}
        if self.mode == 'spray':
            act = name.pick('spraying graffiti', 'with a spray can')
            return {'vandal': Phrase(a, act), 'target': Phrase('graffiti', 'sprayed on a wall')}
        target = Phrase('a window', 'smashed') if self.mode == 'window' else Phrase(thing, 'with smashed glass')
        return {'vandal': Phrase(a, name.pick('swinging a bat', f'smashing {thing} with a bat')), 'target': target}
