"""Everyday behaviour of people and cars."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..common.palette import COLOURS, jitter
from ..common.person import (
    Box,
    Figure,
    Look,
    Pose,
    carry,
    draw_person,
    push,
    reach,
    sit,
    stand,
    talk_on_phone,
    walk,
    wave,
)
from ..common.vehicle import Vehicle, draw_vehicle
from .stage import Stage

# Act -> its phrase in captions, in English and Chinese.
ACTS: dict[str, tuple[str, str]] = {
    'walk': ('walking', '走路'),
    'cross': ('walking past', '走过'),
    'jog': ('jogging', '慢跑'),
    'stand': ('standing and waiting', '站着等待'),
    'phone': ('talking on the phone', '打电话'),
    'wave': ('waving to someone', '挥手'),
    'sit': ('sitting on a bench', '坐在长椅上'),
    'cart': ('pushing a shopping cart', '推购物车'),
    'dog': ('walking a dog', '遛狗'),
    'broom': ('sweeping the floor', '扫地'),
    'umbrella': ('holding an umbrella', '撑伞'),
    'box': ('carrying a box', '搬箱子'),
    'point': ('pointing at the wall', '指着墙'),
}
_STILL = {'stand': stand, 'phone': talk_on_phone, 'wave': wave, 'sit': sit}


@dataclass(frozen=True)
class Passer:
    """A person with an everyday act; the path is a pure function of the frame number.

    Attributes:
        look: Clothes.
        height: Height of the person, pixels.
        act: Key of :data:`ACTS`.
        x0: Start of the path, pixels.
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
        cls, rng: np.random.Generator, floor: tuple[float, float], act: str | None = None, **look: bool
    ) -> 'Passer':
        """A random passer-by; ``look`` is passed to :meth:`Look.sample`."""
        y = float(rng.uniform(*floor))
        depth = (y - 170) / 60
        return cls(
            look=Look.sample(rng, **look),
            height=float(rng.uniform(116, 136) + 20 * depth),
            act=act or list(ACTS)[rng.integers(len(ACTS))],
            x0=float(rng.uniform(40, 200)),
            reach_px=float(rng.uniform(50, 130)),
            y=y,
            speed=float(rng.uniform(0.7, 1.5)),
            phase=float(rng.uniform(0, 2 * math.pi)),
            accessory=jitter(list(COLOURS.values())[rng.integers(len(COLOURS))], rng),
        )

    def place(self, frame: int) -> tuple[float, int, float]:
        """Position of the person: x in pixels, facing, and phase of the walking cycle."""
        speed = self.speed * (2.2 if self.act == 'jog' else 1.0)
        cycle = self.phase + 0.085 * speed * frame
        if self.act in _STILL or self.act == 'point':
            return self.x0 + 0.5 * self.reach_px, 1 if self.phase > math.pi else -1, self.phase + 0.05 * frame
        if self.act in ('cross', 'jog'):
            x = (60 * self.phase + speed * frame) % 420 - 50
            return (x, 1, cycle) if self.x0 < 120 else (320 - x, -1, cycle)
        way = (self.reach_px * self.phase / math.pi + speed * frame) % (2 * self.reach_px)
        if way < self.reach_px:
            return self.x0 + way, 1, cycle
        return self.x0 + 2 * self.reach_px - way, -1, cycle

    def pose(self, phase: float) -> Pose:
        """The pose at a phase of the cycle."""
        if self.act in _STILL:
            return _STILL[self.act](phase)
        if self.act == 'jog':
            return replace(walk(phase, 0.85), lean=0.2)
        if self.act == 'cart':
            return push(phase)
        if self.act == 'broom':
            return replace(push(phase), lean=0.25 + 0.08 * math.sin(phase))
        if self.act == 'box':
            return carry(phase)
        if self.act == 'point':
            return reach(phase, 1.7)
        if self.act == 'umbrella':
            return replace(walk(phase, 0.4), near_arm=(0.7, 1.7))
        return walk(phase)

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the person, with the carried object, on the stage."""
        x, facing, phase = self.place(stage.frame)
        stage.put(self.y, lambda image: self._paint(image, x, facing, phase), role)

    def _paint(self, image: np.ndarray, x: float, facing: int, phase: float) -> Box:
        h = self.height
        if self.act == 'sit':
            seat = round(self.y - 0.24 * h)
            for bx in (x - 0.3 * h, x + 0.3 * h):
                cv2.line(image, (round(bx), seat), (round(bx), round(self.y)), (60, 44, 30), 4)
            cv2.rectangle(image, (round(x - 0.4 * h), seat - 4), (round(x + 0.4 * h), seat + 3), (124, 84, 50), -1)
        figure = draw_person(image, self.look, x, self.y, h, facing, self.pose(phase))
        return self._hold(image, figure, x, facing, phase)

    def _hold(self, image: np.ndarray, figure: Figure, x: float, facing: int, phase: float) -> Box:
        x0, y0, x1, y1 = figure.box
        h, hand = self.height, figure.near_hand
        at = (round(hand[0]), round(hand[1]))
        if self.act == 'umbrella':
            top = (round(figure.head[0]), round(figure.head[1] - 0.2 * h))
            cv2.line(image, at, (at[0], top[1]), (50, 50, 50), 2)
            cv2.ellipse(image, (at[0], top[1] + 6), (round(0.34 * h), round(0.17 * h)), 0, 180, 360, self.accessory, -1)
            return (min(x0, at[0] - 0.34 * h), top[1] - 0.15 * h, max(x1, at[0] + 0.34 * h), y1)
        if self.act == 'cart':
            near, far = at[0] + facing * 2, at[0] + facing * 0.46 * h
            left, right = sorted((round(near), round(far)))
            rim, low = at[1] - 2, round(self.y - 0.14 * h)
            for cx in range(left, right + 1, 6):
                cv2.line(image, (cx, rim), (cx, low), (150, 156, 160), 1)
            cv2.rectangle(image, (left, rim), (right, low), (110, 116, 122), 2)
            cv2.rectangle(image, (left + 5, rim - 8), (right - 8, rim + 10), self.accessory, -1)
            for cx in (left + 4, right - 4):
                cv2.circle(image, (cx, round(self.y - 0.05 * h)), 4, (20, 20, 20), -1)
                cv2.line(image, (cx, low), (cx, round(self.y - 0.05 * h)), (110, 116, 122), 2)
            return (min(x0, left), y0, max(x1, right), y1)
        if self.act == 'dog':
            dog = x + facing * 0.5 * h
            back = round(self.y - 0.2 * h)
            cv2.line(image, at, (round(dog - facing * 2), back), (60, 40, 30), 1)
            for i, lx in enumerate((-14, -8, 8, 14)):
                step = 4 * math.sin(phase * 1.6 + 2 * i)
                cv2.line(image, (round(dog + lx), back), (round(dog + lx + step), round(self.y)), self.accessory, 4)
            cv2.ellipse(image, (round(dog), back), (20, 9), 0, 0, 360, self.accessory, -1, cv2.LINE_AA)
            cv2.circle(image, (round(dog + facing * 22), back - 8), 8, self.accessory, -1, cv2.LINE_AA)
            cv2.line(image, (round(dog - facing * 18), back), (round(dog - facing * 27), back - 12), self.accessory, 3)
            return (min(x0, dog - 30), y0, max(x1, dog + 30), y1)
        if self.act == 'broom':
            end = (round(at[0] + facing * 0.18 * h), round(self.y))
            cv2.line(image, (at[0], at[1] - 14), end, (170, 130, 80), 3)
            cv2.ellipse(image, end, (10, 5), 0, 0, 360, (196, 166, 80), -1)
            return (min(x0, end[0] - 10), y0, max(x1, end[0] + 10), y1)
        if self.act == 'box':
            cx, cy, half = at[0] + facing * 4, at[1], round(0.12 * h)
            cv2.rectangle(image, (cx - half, cy - half), (cx + half, cy + half), (178, 136, 88), -1)
            cv2.rectangle(image, (cx - half, cy - half), (cx + half, cy + half), (110, 80, 50), 1)
            return (min(x0, cx - half), y0, max(x1, cx + half), y1)
        return figure.box


@dataclass(frozen=True)
class Pair:
    """Two people close together who talk, shake hands or hug: a normal counterpart of fights."""

    first: Passer
    second: Passer
    act: str
    x: float

    PHRASES = {'talk': ('talking to each other', '交谈'), 'shake': ('shaking hands', '握手')}

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float]) -> 'Pair':
        """A random pair."""
        first, second = Passer.sample(rng, floor, 'stand'), Passer.sample(rng, floor, 'stand')
        second = replace(second, y=first.y, height=first.height * float(rng.uniform(0.92, 1.08)))
        return cls(first, second, ('talk', 'shake')[rng.integers(2)], float(rng.uniform(60, 260)))

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put both on the stage under one role."""
        gap = 0.26 * self.first.height
        for person, side in ((self.first, 1), (self.second, -1)):
            pose = stand(person.phase + 0.06 * stage.frame)
            arm = 0.5 + 0.4 * math.sin(person.phase + 0.12 * stage.frame)
            pose = replace(pose, near_arm=(1.0, 0.35) if self.act == 'shake' else (0.3, 0.8 + arm))
            stage.put(
                person.y,
                lambda image, p=person, s=side, pose=pose: (  # type: ignore[misc]
                    draw_person(image, p.look, self.x - s * gap, p.y, p.height, s, pose).box
                ),
                role,
            )


@dataclass(frozen=True)
class Traffic:
    """A car driving past, or parked."""

    vehicle: Vehicle
    y: float
    facing: int
    speed: float
    start: float

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float], parked: bool | None = None) -> 'Traffic':
        """A random car; randomly parked or driving unless ``parked`` is given."""
        parked = bool(rng.random() < 0.5) if parked is None else parked
        return cls(
            vehicle=Vehicle.sample(rng),
            y=float(rng.uniform(floor[0], floor[1])),
            facing=1 if rng.random() < 0.5 else -1,
            speed=0.0 if parked else float(rng.uniform(1.2, 3.0)),
            start=float(rng.uniform(60, 260)) if parked else float(rng.uniform(0, 520)),
        )

    def place(self, frame: int) -> float:
        """Position x of the centre, in pixels."""
        if not self.speed:
            return self.start
        way = (self.start + self.speed * frame) % 520 - 100
        return way if self.facing > 0 else 320 - way

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the car on the stage."""
        x = self.place(stage.frame)
        stage.put(self.y, lambda image: draw_vehicle(image, self.vehicle, x, self.y, self.facing), role)
