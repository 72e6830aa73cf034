"""A person with an everyday act."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...common.palette import COLOURS, jitter
from ...common.person import (
    Box,
    Figure,
    Look,
    Pose,
    carry,
    draw_person,
    hands_up,
    kneel_hands_up,
    lie,
    push,
    reach,
    sit,
    stand,
    swing,
    talk_on_phone,
    walk,
    wave,
)
from ..ground import size_at
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor

# Act -> its phrase in captions, in English and Chinese.
ACTS: dict[str, tuple[str, str]] = {
    'walk': ('walking', '走路'),
    'cross': ('walking past', '走过'),
    'jog': ('jogging', '慢跑'),
    'run': ('running to catch a bus', '跑着赶公交车'),
    'stand': ('standing and waiting', '站着等待'),
    'phone': ('talking on the phone', '打电话'),
    'wave': ('waving to someone', '挥手'),
    'sit': ('sitting on a bench', '坐在长椅上'),
    'cart': ('pushing a shopping cart', '推购物车'),
    'dog': ('walking a dog', '遛狗'),
    'broom': ('sweeping the floor', '扫地'),
    'umbrella': ('holding an umbrella', '撑伞'),
    'box': ('carrying a box', '搬箱子'),
    'suitcase': ('pulling a suitcase', '拉着行李箱'),
    'point': ('pointing at the wall', '指着墙'),
    'stretch': ('stretching both arms', '伸展双臂'),
    'pick': ('picking something up', '捡东西'),
    'rest': ('resting on a blanket', '躺在毯子上休息'),
    'golf': ('practising a golf swing', '练习高尔夫挥杆'),
}
_STILL = {
    'stand': stand,
    'phone': talk_on_phone,
    'wave': wave,
    'sit': sit,
    'stretch': hands_up,
    'rest': lie,
    'golf': swing,
}
_FAST = {'jog': 2.0, 'run': 2.8}
_PACE = 1.15  # pixels per frame of a person of 126 pixels


@dataclass(frozen=True)
class Passer(Actor):
    """A person with an everyday act; the path is a pure function of the frame number.

    Attributes:
        look: Clothes.
        height: Height of the person, pixels.
        act: Key of :data:`ACTS`.
        x0: Left end of the path, pixels.
        reach_px: Length of the path, pixels.
        y: Ground, pixels.
        speed: Pixels per frame.
        phase: Start of the walking cycle and of the path, radians.
        accessory: Colour of the carried object.
    """

    look: Look
    height: float
    act: str
    x0: float
    reach_px: float
    y: float
    speed: float
    phase: float
    accessory: tuple[int, int, int]

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        floor: tuple[float, float],
        act: str | None = None,
        x: float | None = None,
        **look: bool,
    ) -> 'Passer':
        """A random passer-by, with the middle of the path at ``x``; ``look`` is passed to :meth:`Look.sample`."""
        y = float(rng.uniform(*floor))
        size = size_at(y)
        reach_px = float(rng.uniform(40, 110))
        middle = float(rng.uniform(40, 280)) if x is None else x
        return cls(
            look=Look.sample(rng, **look),
            height=float(rng.uniform(118, 134)) * size,
            act=act or list(ACTS)[rng.integers(len(ACTS))],
            x0=min(max(middle - reach_px / 2, 12.0), 308.0 - reach_px),
            reach_px=reach_px,
            y=y,
            speed=float(rng.uniform(0.75, 1.3)) * _PACE * size,
            phase=float(rng.uniform(0, 2 * math.pi)),
            accessory=jitter(list(COLOURS.values())[rng.integers(len(COLOURS))], rng),
        )

    def place(self, frame: int) -> tuple[float, int, float]:
        """Position of the person: x in pixels, facing, and phase of the walking cycle."""
        speed = self.speed * _FAST.get(self.act, 1.0)
        cycle = self.phase + 10 * speed / self.height * frame
        if self.act in _STILL or self.act in ('point', 'pick'):
            return self.x0 + 0.5 * self.reach_px, 1 if self.phase > math.pi else -1, self.phase + 0.08 * frame
        if self.act in ('cross', *_FAST):
            x = (60 * self.phase + speed * frame) % 400 - 40
            return (x, 1, cycle) if int(self.x0) % 2 else (320 - x, -1, cycle)
        way = (self.reach_px * self.phase / math.pi + speed * frame) % (2 * self.reach_px)
        if way < self.reach_px:
            return self.x0 + way, 1, cycle
        return self.x0 + 2 * self.reach_px - way, -1, cycle

    def pose(self, phase: float) -> Pose:
        """The pose at a phase of the cycle."""
        if self.act in _STILL:
            return _STILL[self.act](phase)
        if self.act in _FAST:
            return replace(walk(phase, 0.85), lean=0.2)
        if self.act == 'cart':
            return push(phase)
        if self.act == 'broom':
            return replace(push(phase), lean=0.25 + 0.08 * math.sin(phase))
        if self.act == 'box':
            return carry(phase)
        if self.act == 'suitcase':
            return replace(walk(phase, 0.4), near_arm=(-0.6, 0.1))
        if self.act == 'point':
            return reach(phase, 1.7)
        if self.act == 'pick':
            return replace(kneel_hands_up(phase), lean=0.9, near_arm=(0.2, 0.1), far_arm=(0.1, 0.1))
        if self.act == 'umbrella':
            return replace(walk(phase, 0.4), near_arm=(0.7, 1.7))
        return walk(phase)

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the person, with the carried object, on the stage."""
        x, facing, phase = self.place(stage.frame)
        stage.put(self.y, lambda image: self._paint(image, x, facing, phase), role)

    def phrase(self, name: Namer) -> Phrase:
        """The person and the act."""
        english, chinese = ACTS[self.act]
        return Phrase(name.person(self.look), chinese if name.chinese else english, chinese=name.chinese)

    def _paint(self, image: np.ndarray, x: float, facing: int, phase: float) -> Box:
        h = self.height
        if self.act == 'sit':
            seat = round(self.y - 0.24 * h)
            for bx in (x - 0.3 * h, x + 0.3 * h):
                cv2.line(image, (round(bx), seat), (round(bx), round(self.y)), (60, 44, 30), 2)
            cv2.rectangle(image, (round(x - 0.4 * h), seat - 2), (round(x + 0.4 * h), seat + 2), (124, 84, 50), -1)
        elif self.act == 'rest':
            corners = [(x - 0.62 * h, self.y - 2), (x + 0.62 * h, self.y - 2), (x + 0.7 * h, self.y + 0.1 * h)]
            corners.append((x - 0.7 * h, self.y + 0.1 * h))
            cv2.fillPoly(image, [np.array(corners).round().astype(np.int32)], self.accessory, cv2.LINE_AA)
        figure = draw_person(image, self.look, x, self.y, h, facing, self.pose(phase))
        x0, y0, x1, y1 = self._hold(image, figure, x, facing, phase)
        if self.act == 'rest':
            return (min(x0, x - 0.7 * h), y0, max(x1, x + 0.7 * h), max(y1, self.y + 0.1 * h))
        return (x0, y0, x1, y1)

    def _hold(self, image: np.ndarray, figure: Figure, x: float, facing: int, phase: float) -> Box:
        x0, y0, x1, y1 = figure.box
        h, hand = self.height, figure.near_hand
        s = h / 126
        at = (round(hand[0]), round(hand[1]))
        if self.act == 'umbrella':
            top = (round(figure.head[0]), round(figure.head[1] - 0.2 * h))
            cv2.line(image, at, (at[0], top[1]), (50, 50, 50), 1)
            axes = (round(0.34 * h), round(0.17 * h))
            cv2.ellipse(image, (at[0], top[1] + round(6 * s)), axes, 0, 180, 360, self.accessory, -1)
            return (min(x0, at[0] - 0.34 * h), top[1] - 0.15 * h, max(x1, at[0] + 0.34 * h), y1)
        if self.act == 'cart':
            left, right = sorted((round(at[0] + facing * 2), round(at[0] + facing * 0.46 * h)))
            rim, low = at[1] - 1, round(self.y - 0.14 * h)
            for cx in range(left, right + 1, 4):
                cv2.line(image, (cx, rim), (cx, low), (150, 156, 160), 1)
            cv2.rectangle(image, (left, rim), (right, low), (110, 116, 122), 1)
            cv2.rectangle(image, (left + 3, rim - 4), (right - 4, rim + 5), self.accessory, -1)
            for cx in (left + 2, right - 2):
                cv2.circle(image, (cx, round(self.y - 0.05 * h)), max(round(4 * s), 1), (20, 20, 20), -1)
            return (min(x0, left), y0, max(x1, right), y1)
        if self.act == 'dog':
            dog, back = x + facing * 0.5 * h, round(self.y - 0.2 * h)
            cv2.line(image, at, (round(dog - facing * 2), back), (60, 40, 30), 1)
            for i, lx in enumerate((-14, -8, 8, 14)):
                step = 4 * math.sin(phase * 1.6 + 2 * i)
                a, b = (round(dog + lx * s), back), (round(dog + (lx + step) * s), round(self.y))
                cv2.line(image, a, b, self.accessory, max(round(4 * s), 1))
            body = (round(20 * s), round(9 * s))
            cv2.ellipse(image, (round(dog), back), body, 0, 0, 360, self.accessory, -1, cv2.LINE_AA)
            head = (round(dog + facing * 22 * s), back - round(8 * s))
            cv2.circle(image, head, round(8 * s), self.accessory, -1, cv2.LINE_AA)
            return (min(x0, dog - 30 * s), y0, max(x1, dog + 30 * s), y1)
        if self.act == 'broom':
            end = (round(at[0] + facing * 0.18 * h), round(self.y))
            cv2.line(image, (at[0], at[1] - round(14 * s)), end, (170, 130, 80), 2)
            cv2.ellipse(image, end, (round(10 * s), round(5 * s)), 0, 0, 360, (196, 166, 80), -1)
            return (min(x0, end[0] - 10 * s), y0, max(x1, end[0] + 10 * s), y1)
        if self.act == 'box':
            cx, cy, half = at[0] + facing * round(4 * s), at[1], round(0.12 * h)
            cv2.rectangle(image, (cx - half, cy - half), (cx + half, cy + half), (178, 136, 88), -1)
            cv2.rectangle(image, (cx - half, cy - half), (cx + half, cy + half), (110, 80, 50), 1)
            return (min(x0, cx - half), y0, max(x1, cx + half), y1)
        if self.act == 'suitcase':
            cx = round(at[0] - facing * 0.12 * h)
            a, b = (cx - round(0.1 * h), round(self.y - 0.3 * h)), (cx + round(0.1 * h), round(self.y - 2))
            cv2.line(image, at, (cx, a[1]), (60, 60, 60), 1)
            cv2.rectangle(image, a, b, self.accessory, -1)
            return (min(x0, a[0]), y0, max(x1, b[0]), y1)
        if self.act == 'golf':
            angle = 2.5 + 0.8 * math.sin(phase)
            tip = (hand[0] + facing * 0.35 * h * math.sin(angle), hand[1] + 0.35 * h * math.cos(angle))
            cv2.line(image, at, (round(tip[0]), round(tip[1])), (206, 210, 214), 1, cv2.LINE_AA)
            return (min(x0, tip[0]), min(y0, tip[1]), max(x1, tip[0]), max(y1, tip[1]))
        return figure.box
