"""The anomalous events: actors, drawing and captions.

Every event is a pure function of its progress, 0 at the first anomalous frame and 1 at the last, so any frame can be
drawn without the earlier ones. A single frame is enough to recognise the event. Six small classes share this file
because they are read side by side.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import replace

import cv2
import numpy as np

from ..common.person import (
    Box,
    aim,
    draw_person,
    grapple,
    hands_up,
    kick,
    kneel_hands_up,
    lie,
    punch,
    reach,
    stand,
    swing,
    walk,
)
from ..common.scene import Scene
from ..common.vehicle import Vehicle, draw_vehicle
from . import effects
from .everyday import Passer, Traffic
from .stage import Stage
from .wording import Namer

_GLASS = ((214, 236, 242), (168, 206, 220))


class Event(ABC):
    """Base class of anomalous events.

    Attributes:
        kind: UCF-Crime's name of the class.
        cars: Whether it requires a scene with cars.
    """

    kind: str
    cars = False

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.x = float(rng.uniform(95, 225))
        self.y = float(rng.uniform(max(scene.floor[0], 200), scene.floor[1]))
        # Most events extend from x towards the middle of the picture.
        self.side = 1 if (self.x < 160) == (rng.random() < 0.85) else -1
        self.seed = int(rng.integers(2**31))

    @abstractmethod
    def calm(self, stage: Stage, toward: float) -> None:
        """Draw the actors before and after the event.

        Args:
            stage: The frame.
            toward: 0 far from the event, increasing to 1 just before it.
        """

    @abstractmethod
    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        """Draw the event, with one role per region."""

    @abstractmethod
    def tell(self, name: Namer) -> str:
        """A clause that describes the event, without the place."""

    @abstractmethod
    def regions(self, name: Namer) -> dict[str, str]:
        """One caption per role."""


def _approach(stage: Stage, passer: Passer, x: float, y: float, toward: float) -> None:
    if not toward:
        passer.draw(stage)
        return
    at, facing, phase = passer.place(stage.frame)
    new_x = at + toward * (x - at)
    new_y = passer.y + toward * (y - passer.y)
    if abs(x - at) > 8:
        facing = 1 if x > at else -1
    stage.put(
        new_y,
        lambda image: draw_person(image, passer.look, new_x, new_y, passer.height, facing, walk(phase, 0.5)).box,
    )


def _person(stage: Stage, passer: Passer, x: float, y: float, facing: int, pose, role: str | None = None) -> None:
    stage.put(y, lambda image: draw_person(image, passer.look, x, y, passer.height, facing, pose).box, role)


def _level(passer: Passer, other: Passer) -> Passer:
    return replace(passer, height=other.height * (0.92 + 0.16 * (passer.phase % 1)))


class Fighting(Event):
    """Two people punch, grapple and kick; one may fall."""

    kind = 'Fighting'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.first = Passer.sample(rng, scene.floor, ('walk', 'stand', 'phone')[rng.integers(3)])
        self.second = _level(Passer.sample(rng, scene.floor, ('walk', 'stand')[rng.integers(2)]), self.first)
        self.tempo = float(rng.uniform(7, 11))
        self.falls = bool(rng.random() < 0.4)
        # Some fights are brawls: more people fight in the background, or lie on the ground.
        self.others = [
            _level(Passer.sample(rng, scene.floor, ('walk', 'stand')[rng.integers(2)]), self.first)
            for _ in range(rng.integers(0, 3))
        ]

    def _places(self) -> tuple[float, float]:
        gap = 0.25 * self.first.height
        return self.x - self.side * gap, self.x + self.side * gap

    def calm(self, stage: Stage, toward: float) -> None:
        for passer, x in zip((self.first, self.second), self._places(), strict=True):
            _approach(stage, passer, x, self.y, toward)
        for i, passer in enumerate(self.others):
            _approach(stage, passer, self.x + (1 - 2 * i) * 52, self.y - 10, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        beat = self.tempo * elapsed_s
        static = np.random.default_rng(self.seed)
        stage.put(
            -1,
            lambda image: _none(
                effects.draw_litter(image, self.x, self.y, 80, ((236, 232, 220), (60, 50, 44), (150, 60, 50)), static)
            ),
        )
        for i, passer in enumerate(self.others):
            way = 1 - 2 * i
            pose = (lie, punch, grapple)[(self.seed + i) % 3](beat + i)
            _person(stage, passer, self.x + way * 52, self.y - 10, -way, pose)
        stage.put(self.y + 3, lambda image: effects.draw_dust(image, self.x, self.y, 130, stage.clock))
        move = (int(beat / 5) + self.seed) % 4
        a, b = self._places()
        jolt = 3 * math.sin(1.7 * beat)
        if self.falls and progress > 0.6:
            _person(stage, self.second, b + self.side * 16, self.y + 4, -self.side, lie(beat), 'second')
            pose = kick(beat) if move % 2 else punch(beat)
            pose = pose if move % 2 else replace(pose, lean=0.75, near_arm=(0.7, 0.1), far_arm=(1.0, 0.6))
            _person(stage, self.first, a, self.y, self.side, pose, 'first')
            return
        poses = ((punch, punch), (grapple, grapple), (kick, punch), (punch, kick))[move]
        if move == 1:
            a, b = a + 0.04 * self.first.height * self.side, b - 0.04 * self.first.height * self.side
        _person(stage, self.second, b + jolt, self.y, -self.side, poses[1](beat + 2.2), 'second')
        _person(stage, self.first, a + jolt, self.y + 1, self.side, poses[0](beat), 'first')

    def tell(self, name: Namer) -> str:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return name.pick(f'{a}和{b}打架', f'{a}殴打{b}', '两个人扭打在一起', f'{a}与{b}互相拳打脚踢')
        return name.pick(
            f'{a} and {b} are fighting',
            f'{a} punches {b}',
            f'{a} is kicking and hitting {b}',
            'two people are fighting',
            'two people trade punches',
            f'a fight breaks out between {a} and {b}',
            f'{a} and {b} grapple and brawl',
            f'a brawl, {a} against {b}',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return {'first': f'{a}正在挥拳打人', 'second': f'{b}正在与人打架'}
        return {
            'first': name.pick(f'{a} throwing punches', f'{a} attacking another person', f'{a} fighting'),
            'second': name.pick(f'{b} fighting back', f'{b} in a fight', f'{b} fighting with another person'),
        }


class Robbery(Event):
    """An armed, masked person robs somebody who raises both hands."""

    kind = 'Robbery'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.robber = Passer.sample(rng, scene.floor, ('walk', 'stand')[rng.integers(2)], masked=True)
        self.victim = _level(Passer.sample(rng, scene.floor, ('walk', 'stand', 'phone')[rng.integers(3)]), self.robber)
        self.kneels = bool(rng.random() < 0.3)
        self.gap = float(rng.uniform(0.42, 0.55))
        self.bag = bool(rng.random() < 0.6)
        self.long_gun = bool(rng.random() < 0.6)

    def _places(self) -> tuple[float, float]:
        gap = self.gap * self.robber.height
        return self.x - self.side * gap, self.x + self.side * gap

    def calm(self, stage: Stage, toward: float) -> None:
        for passer, x in zip((self.robber, self.victim), self._places(), strict=True):
            _approach(stage, passer, x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        a, b = self._places()
        static = np.random.default_rng(self.seed)
        stage.put(
            -1,
            lambda image: _none(
                effects.draw_litter(image, self.x, self.y, 75, ((120, 190, 120), (200, 224, 190)), static)
            ),
        )
        down = self.kneels and progress > 0.45
        pose = (kneel_hands_up if down else hands_up)(3 * elapsed_s + self.seed)
        _person(stage, self.victim, b, self.y, -self.side, pose, 'victim')
        stage.put(self.y + 1, lambda image: self._robber(image, a, elapsed_s), 'robber')

    def _robber(self, image: np.ndarray, x: float, elapsed_s: float) -> Box:
        h = self.robber.height
        x += 2 * math.sin(2 * elapsed_s)
        figure = draw_person(image, self.robber.look, x, self.y + 1, h, self.side, aim(4 * elapsed_s))
        hx, hy = (round(v) for v in figure.near_hand)
        barrel, grip = round((0.36 if self.long_gun else 0.22) * h), round(0.09 * h)
        stock = round((0.2 if self.long_gun else 0.0) * h)
        cv2.line(image, (hx - self.side * stock, hy), (hx + self.side * barrel, hy - 3), (8, 8, 10), 7)
        cv2.line(image, (hx, hy - 2), (hx - self.side, hy + grip), (8, 8, 10), 6)
        x0, y0, x1, y1 = figure.box
        if self.bag:
            bx, by = (round(v) for v in figure.far_hand)
            cv2.ellipse(image, (bx, by + 11), (11, 13), 0, 0, 360, (104, 80, 50), -1, cv2.LINE_AA)
            cv2.line(image, (bx - 5, by + 1), (bx + 5, by + 1), (60, 44, 26), 3)
        tip = hx + self.side * barrel
        return (min(x0, tip), y0, max(x1, tip), y1)

    def tell(self, name: Namer) -> str:
        a, b = name.person(self.robber.look), name.person(self.victim.look)
        if name.chinese:
            return name.pick(f'{a}持枪抢劫{b}', f'{a}用枪指着{b}', '一名持枪歹徒正在抢劫')
        return name.pick(
            f'{a} robs {b} at gunpoint',
            f'{a} points a gun at {b}',
            f'{b} raises both hands while {a} aims a gun',
            'an armed robber threatens a person with raised hands',
            f'{a} holds up {b}',
            f'an armed robbery, {a} with a gun',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        a, b = name.person(self.robber.look), name.person(self.victim.look)
        if name.chinese:
            return {'robber': f'{a}举枪', 'victim': f'{b}举起双手'}
        return {
            'robber': name.pick(f'{a} pointing a gun', f'{a} aiming a pistol', f'{a} robbing someone with a gun'),
            'victim': name.pick(f'{b} with hands up', f'{b} raising both hands in surrender', f'{b} being robbed'),
        }


class Vandalism(Event):
    """Somebody sprays graffiti on a wall, or smashes a window or a parked car with a bat."""

    kind = 'Vandalism'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.vandal = Passer.sample(rng, scene.floor, ('walk', 'stand', 'phone')[rng.integers(3)])
        modes = ('spray', 'window', 'car') if scene.outdoor else ('spray', 'window')
        self.mode = modes[rng.integers(len(modes))]
        self.width, self.height = float(rng.uniform(125, 165)), float(rng.uniform(84, 110))
        self.paint = tuple(
            ((235, 30, 60), (40, 220, 70), (250, 80, 220), (40, 130, 250), (250, 230, 40), (245, 245, 245))[i]
            for i in rng.permutation(6)[:3]
        )
        self.strokes = self._scribble(rng)
        self.cracks = rng.uniform(0, 1, (9, 4))
        self.vehicle = Vehicle.sample(rng)
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
    def _target(self) -> tuple[float, float]:
        lift = 0.62 * self.vandal.height
        return self.x + self.side * (0.3 * self.vandal.height + 0.3 * self.width), self.y - lift

    def _furniture(self, stage: Stage, progress: float | None) -> None:
        """Draw the object that is smashed; before and after the event it is intact."""
        x = self.x + self.side * (0.25 * self.vandal.height + 0.45 * self.width)
        role = None if progress is None else 'target'
        if self.mode == 'car':
            damage = 0.0 if progress is None else 0.9
            stage.put(
                self.y - 6,
                lambda image: self._car(image, x + self.side * 22, damage),
                role,
            )
        elif self.mode == 'window':
            stage.put(self.y - 9, lambda image: self._window(image, x, progress), role)

    def _car(self, image: np.ndarray, x: float, damage: float) -> Box:
        box = draw_vehicle(image, self.vehicle, x, self.y - 6, -self.side, 0.0, damage, self.damage)
        if damage:
            near = x - self.side * 0.3 * self.vehicle.length
            static = np.random.default_rng(self.seed)
            effects.draw_litter(image, near, self.y, 70, _GLASS, static, 26)
        return box

    def _window(self, image: np.ndarray, x: float, progress: float | None) -> Box:
        half, top, low = 0.4 * self.width, self.y - 1.25 * self.height, self.y - 0.2 * self.height
        a, b = (round(x - half), round(top)), (round(x + half), round(low))
        cv2.rectangle(image, a, b, (120, 158, 176), -1)
        cv2.line(image, (a[0] + 8, b[1] - 8), (b[0] - 20, a[1] + 8), (176, 206, 216), 3)
        cv2.rectangle(image, a, b, (70, 60, 52), 4)
        cv2.rectangle(image, (a[0] - 3, b[1]), (b[0] + 3, round(self.y - 4)), (110, 96, 84), -1)
        if progress is None:
            return (*a, *b)
        cx, cy = x - self.side * 0.3 * half, 0.5 * (top + low)
        hole, count = [], 9
        for i, (r, bend, reach_, _) in enumerate(self.cracks):
            angle = 2 * math.pi * (i + 0.5 * bend) / count
            far = (0.35 + 0.25 * min(progress * 3, 1)) * self.height * (0.8 + 0.5 * reach_)
            end = (
                int(np.clip(cx + far * math.cos(angle), a[0], b[0])),
                int(np.clip(cy + far * math.sin(angle), a[1], b[1])),
            )
            cv2.line(image, (round(cx), round(cy)), end, (240, 246, 250), 2, cv2.LINE_AA)
            near = (0.18 + 0.2 * r) * self.height
            hole.append((cx + near * math.cos(angle), cy + near * math.sin(angle)))
        cv2.fillPoly(image, [np.array(hole).round().astype(np.int32)], (18, 20, 24))
        effects.draw_litter(image, cx, self.y + 2, 70, _GLASS, np.random.default_rng(self.seed), 26)
        return (a[0], a[1], b[0], self.y)

    def calm(self, stage: Stage, toward: float) -> None:
        self._furniture(stage, None)
        _approach(stage, self.vandal, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        self._furniture(stage, progress)
        if self.mode == 'spray':
            stage.put(self.y - 5, lambda image: self._graffiti(image, progress), 'target')
        stage.put(self.y, lambda image: self._vandal(image, stage, elapsed_s), 'vandal')

    def _graffiti(self, image: np.ndarray, progress: float) -> Box:
        x, y = self._target
        shown = 0.45 + 0.55 * min(progress / 0.6, 1.0)
        for i, stroke in enumerate(self.strokes):
            points = (stroke[: max(int(shown * len(stroke)), 3)] + (x, y)).round().astype(np.int32)
            cv2.polylines(image, [points], False, (20, 20, 20), 15, cv2.LINE_AA)
            cv2.polylines(image, [points], False, self.paint[i % 3], 10, cv2.LINE_AA)
        return (x - 0.55 * self.width, y - 0.5 * self.height, x + 0.55 * self.width, y + 0.5 * self.height)

    def _vandal(self, image: np.ndarray, stage: Stage, elapsed_s: float) -> Box:
        h = self.vandal.height
        if self.mode == 'spray':
            figure = draw_person(image, self.vandal.look, self.x, self.y, h, self.side, reach(4 * elapsed_s))
            hx, hy = (round(v) for v in figure.near_hand)
            cv2.rectangle(image, (hx - 3, hy - 11), (hx + 3, hy + 3), (210, 214, 220), -1)
            cv2.rectangle(image, (hx - 3, hy - 13), (hx + 3, hy - 9), self.paint[0], -1)
            effects.draw_halo(image, hx + self.side * 16, hy - 10, 30, self.paint[0], 0.85)
            return figure.box
        figure = draw_person(image, self.vandal.look, self.x, self.y, h, self.side, swing(6 * elapsed_s))
        hand_x, hand_y = figure.near_hand
        angle = 2.5 + 0.8 * math.sin(6 * elapsed_s)
        end = (hand_x + self.side * 0.42 * h * math.sin(angle), hand_y - 0.42 * h * -math.cos(angle))
        cv2.line(image, (round(hand_x), round(hand_y)), (round(end[0]), round(end[1])), (206, 160, 98), 8, cv2.LINE_AA)
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
                f'{a} is spray-painting the wall',
                'a vandal covers the wall with graffiti',
            )
        thing = 'the window' if self.mode == 'window' else name.vehicle(self.vehicle)
        return name.pick(
            f'{a} smashes {thing} with a bat',
            f'{a} is vandalising {thing}',
            f'{a} breaks the glass of {thing}' if self.mode == 'car' else f'{a} breaks the window glass',
            f'a vandal hits {thing} with a bat',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        a = name.person(self.vandal.look)
        thing = 'a window' if self.mode == 'window' else name.vehicle(self.vehicle)
        if name.chinese:
            target = {'spray': '墙上的涂鸦', 'window': '被打碎的窗户', 'car': f'{thing}被砸坏'}[self.mode]
            return {'vandal': f'{a}喷涂鸦' if self.mode == 'spray' else f'{a}挥舞球棒', 'target': target}
        if self.mode == 'spray':
            return {
                'vandal': name.pick(f'{a} spraying paint', f'{a} painting graffiti', f'{a} with a spray can'),
                'target': name.pick('colourful graffiti on the wall', 'graffiti sprayed on a wall'),
            }
        return {
            'vandal': name.pick(f'{a} swinging a bat', f'{a} smashing {thing}', f'{a} hitting {thing} with a bat'),
            'target': name.pick('a broken window with shattered glass', 'a smashed window')
            if self.mode == 'window'
            else name.pick(f'{thing} with smashed glass', f'{thing} damaged by a vandal'),
        }


class Arson(Event):
    """Somebody with a torch sets fire to a bin, a stack of boxes, a bench or a car."""

    kind = 'Arson'
    THINGS = {'bin': '垃圾桶', 'stack of boxes': '一堆纸箱', 'bench': '长椅', 'cabinet': '柜子'}

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.arsonist = Passer.sample(rng, scene.floor, ('walk', 'stand', 'box')[rng.integers(3)])
        self.thing = list(self.THINGS)[rng.integers(len(self.THINGS))]
        self.tint = int(rng.integers(-18, 18))
        self.size = float(rng.uniform(46, 62))
        self.fire = float(rng.uniform(70, 100))

    @property
    def _at(self) -> tuple[float, float]:
        return self.x + self.side * (0.3 * self.arsonist.height + 0.4 * self.size), self.y - 4

    def _object(self, image: np.ndarray, burnt: bool) -> None:
        x, y = (round(v) for v in self._at)
        s = round(self.size)
        colours = {
            'bin': (70, 110, 80),
            'stack of boxes': (180, 138, 90),
            'bench': (124, 84, 52),
            'cabinet': (130, 132, 140),
        }
        colour = tuple(int(np.clip(c + self.tint, 0, 255) * (0.4 if burnt else 1)) for c in colours[self.thing])
        edge = tuple(int(0.6 * c) for c in colour)
        if self.thing == 'bench':
            cv2.rectangle(image, (x - s // 2, y - s // 2), (x + s // 2, y - s // 2 + 6), colour, -1)
            cv2.rectangle(image, (x - s // 2, y - s // 4), (x + s // 2, y - s // 4 + 6), colour, -1)
            for lx in (x - s // 2 + 4, x + s // 2 - 4):
                cv2.line(image, (lx, y - s // 2), (lx, y), edge, 4)
            return
        if self.thing == 'stack of boxes':
            for dx, dy in ((-0.5, 0), (0.02, 0), (-0.25, 0.46)):
                a = (x + round(dx * s), y - round((dy + 0.45) * s))
                b = (x + round((dx + 0.48) * s), y - round(dy * s))
                cv2.rectangle(image, a, b, colour, -1)
                cv2.rectangle(image, a, b, edge, 2)
            return
        half = s // 3 if self.thing == 'bin' else s // 2
        cv2.rectangle(image, (x - half, y - s), (x + half, y), colour, -1)
        cv2.rectangle(image, (x - half, y - s), (x + half, y), edge, 2)
        cv2.line(image, (x - half, y - round(0.75 * s)), (x + half, y - round(0.75 * s)), edge, 3)

    def calm(self, stage: Stage, toward: float) -> None:
        stage.put(self.y - 4, lambda image: self._object(image, burnt=False))
        _approach(stage, self.arsonist, self.x, self.y, toward)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        x, y = self._at
        grown = 0.6 + 0.4 * min(progress / 0.35, 1.0)
        stage.put(y, lambda image: self._object(image, burnt=True))
        height, width = self.fire * grown, 0.8 * self.fire * grown
        smoke, clock = 0.8 * self.fire * grown, stage.clock
        stage.light(lambda image: _none(effects.draw_smoke(image, x, y - 0.6 * height, smoke, clock, 34, 1.5)))
        stage.light(lambda image: effects.draw_fire(image, x, y, width, height, stage.rng), 'fire')
        leave = 18 * max(progress - 0.4, 0)
        at = self.x - self.side * leave
        pose = reach(5 * elapsed_s, 1.25) if progress < 0.75 else stand(elapsed_s)
        stage.put(self.y, lambda image: self._arsonist(image, stage, at, pose), 'arsonist')

    def _arsonist(self, image: np.ndarray, stage: Stage, x: float, pose) -> Box:
        figure = draw_person(image, self.arsonist.look, x, self.y, self.arsonist.height, self.side, pose)
        hx, hy = figure.near_hand
        tip = hx + self.side * 12
        cv2.line(image, (round(hx), round(hy)), (round(tip), round(hy - 16)), (120, 84, 50), 4)
        stage.light(lambda lit: _none(effects.draw_fire(lit, tip, hy - 12, 15, 24, stage.rng)))
        return figure.box

    def tell(self, name: Namer) -> str:
        a = name.person(self.arsonist.look)
        if name.chinese:
            thing = self.THINGS[self.thing]
            return name.pick(f'{a}点燃{thing}', f'{a}纵火，{thing}冒出火焰和浓烟', f'{thing}着火了')
        return name.pick(
            f'{a} sets fire to a {self.thing}',
            f'{a} sets a {self.thing} on fire with a torch',
            f'{a} stands beside a burning {self.thing}',
            f'flames and dark smoke rise from a {self.thing}',
            f'an arsonist lights a {self.thing}',
            f'{a} commits arson and a {self.thing} burns',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        a = name.person(self.arsonist.look)
        if name.chinese:
            return {'fire': f'{self.THINGS[self.thing]}在燃烧', 'arsonist': f'{a}手持火把'}
        return {
            'fire': name.pick(f'a burning {self.thing}', f'flames on a {self.thing}', f'a {self.thing} on fire'),
            'arsonist': name.pick(f'{a} holding a torch', f'{a} setting a fire', f'{a} lighting a {self.thing}'),
        }


class Explosion(Event):
    """A flash, a ball of fire with flying fragments, then dust and smoke over rubble and people on the ground."""

    kind = 'Explosion'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.size = float(rng.uniform(120, 165))
        self.victims = [
            Passer.sample(rng, scene.floor, ('walk', 'stand')[rng.integers(2)]) for _ in range(rng.integers(1, 3))
        ]
        self.shade = int(rng.integers(120, 175))

    def calm(self, stage: Stage, toward: float) -> None:
        for victim in self.victims:
            victim.draw(stage)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        x, y = self.x, self.y - 42
        blast = elapsed_s % 1.9 if elapsed_s < 3.8 else elapsed_s - 1.9
        flash = max(0.0, 1 - blast / 0.3)
        stage.boost = 0.55 * flash
        static = np.random.default_rng(self.seed)
        stage.put(self.y - 20, lambda image: _none(effects.draw_rubble(image, x, self.y, 120, static, 30)))
        for i, victim in enumerate(self.victims):
            away = 1 if i % 2 else -1
            pose = lie(blast)
            _person(stage, victim, x + away * (70 + 14 * i), max(victim.y, self.y), -away, pose, f'victim{i}')
        swell = 0.7 + 0.3 * min(blast / 0.4, 1.0)
        heat = max(0.0, 1 - blast / 2.2)
        rise = 14 * min(blast, 2.5)
        if blast > 0.5:
            cloud = self.size * (0.8 + 0.1 * min(blast, 3))
            clock, shade = 0.5 * stage.clock, self.shade
            stage.light(lambda image: effects.draw_smoke(image, x, y + 20 - rise, cloud, clock, shade, 0.75), 'blast')
        if heat > 0.1:
            stage.light(
                lambda image: effects.draw_fireball(
                    image, x, y - rise, self.size * swell * (0.5 + 0.5 * heat), heat, stage.clock
                ),
                'blast',
            )
        else:
            for dx in (-34, 30):
                stage.light(
                    lambda image, dx=dx: effects.draw_fire(image, x + dx, self.y, 30, 38, stage.rng),  # type: ignore[misc]
                    'blast',
                )
        if blast < 1.3:
            near, far = 0.3 * self.size, self.size * (0.6 + 0.5 * blast)
            stage.light(lambda image: effects.draw_streaks(image, x, y, near, far, np.random.default_rng(self.seed)))

    def tell(self, name: Namer) -> str:
        if name.chinese:
            return name.pick(
                '突然发生爆炸，火球和碎片四处飞溅', '发生爆炸，浓烟滚滚', '爆炸后碎片散落一地，有人倒在地上'
            )
        who = name.person(self.victims[0].look)
        return name.pick(
            'an explosion throws debris through the air',
            'a huge fireball bursts and debris flies everywhere',
            f'an explosion knocks {who} to the ground',
            'a blast fills the place with fire, smoke and rubble',
            f'something explodes next to {who}',
            'a violent explosion with a cloud of dust and smoke',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        if name.chinese:
            found = {'blast': '爆炸产生的火球和浓烟'}
            found |= {f'victim{i}': f'{name.person(v.look)}被炸倒在地' for i, v in enumerate(self.victims)}
            return found
        found = {
            'blast': name.pick(
                'a fireball with smoke', 'the fire and smoke of an explosion', 'an exploding ball of fire'
            )
        }
        for i, victim in enumerate(self.victims):
            a = name.person(victim.look)
            found[f'victim{i}'] = name.pick(f'{a} lying on the ground', f'{a} knocked down by the blast')
        return found


class RoadAccidents(Event):
    """Two cars collide, or a car hits a person."""

    kind = 'RoadAccidents'
    cars = True

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        lane = (max(scene.floor[0] + 14, 196), scene.floor[1])
        self.y = float(rng.uniform(*lane))
        self.first = Traffic.sample(rng, lane, parked=False)
        self.second = Traffic.sample(rng, lane, parked=False)
        self.walker = Passer.sample(rng, scene.floor, 'cross')
        self.hits_person = bool(rng.random() < 0.35)
        self.tilts = rng.uniform(0.05, 0.3, 2)
        self.rolled = bool(rng.random() < 0.25)
        self.damage = rng.random((2, 16, 2))

    def _places(self) -> tuple[float, float]:
        a = 0.36 * self.first.vehicle.length
        b = 0.36 * self.second.vehicle.length
        return self.x - self.side * a, self.x + self.side * (0.5 * self.first.vehicle.length if self.hits_person else b)

    def calm(self, stage: Stage, toward: float) -> None:
        a, b = self._places()
        facings = (self.side, -self.side)
        for car, x, facing in zip((self.first, self.second), (a, b), facings, strict=True):
            if self.hits_person and car is self.second:
                _approach(stage, self.walker, b, self.y, toward)
                continue
            if not toward:
                car.draw(stage)
                continue
            at = x - facing * 260 * (1 - toward)
            y = car.y + toward * (self.y - car.y)
            stage.put(y, lambda image, c=car, at=at, y=y, f=facing: draw_vehicle(image, c.vehicle, at, y, f))  # type: ignore[misc]

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        a, b = self._places()
        settle = min(elapsed_s / 0.5, 1.0)
        stage.put(-1, lambda image: self._skid(image, a))
        first = self.first.vehicle
        if self.hits_person:
            _person(stage, self.walker, b + self.side * 22, self.y + 6, -self.side, lie(elapsed_s), 'second')
            stage.put(
                self.y,
                lambda image: draw_vehicle(image, first, a, self.y, self.side, 0.0, 0.7, self.damage[0]),
                'first',
            )
        else:
            second = self.second.vehicle
            tilt = math.pi - 0.15 if self.rolled else self.tilts[1] * (1.6 - 0.6 * settle)
            stage.put(
                self.y - 5,
                lambda image: draw_vehicle(image, second, b, self.y - 5, -self.side, tilt, 1.0, self.damage[1]),
                'second',
            )
            stage.put(
                self.y,
                lambda image: draw_vehicle(
                    image, first, a, self.y, self.side, self.tilts[0] * (1.6 - 0.6 * settle), 1.0, self.damage[0]
                ),
                'first',
            )
        static = np.random.default_rng(self.seed)
        spread = 40 + 40 * settle
        stage.put(self.y + 3, lambda image: _none(effects.draw_rubble(image, self.x, self.y + 5, spread, static, 24)))
        size, clock = 40 + 20 * settle, stage.clock
        stage.light(lambda image: _none(effects.draw_smoke(image, self.x, self.y - 44, size, clock, 190, 1.1)))

    def _skid(self, image: np.ndarray, x: float) -> None:
        for dy in (0, 9):
            t = np.linspace(0, 1, 12)
            xs = x - self.side * 190 * t
            ys = self.y + dy - 4 + 14 * np.sin(3 * t + self.tilts[0] * 9)
            points = np.stack([xs, ys], 1).round().astype(np.int32)
            cv2.polylines(image, [points], False, (24, 24, 24), 4, cv2.LINE_AA)

    def tell(self, name: Namer) -> str:
        a, b, who = name.vehicle(self.first.vehicle), name.vehicle(self.second.vehicle), name.person(self.walker.look)
        if name.chinese:
            if self.hits_person:
                return name.pick(f'{a}撞倒{who}', f'{who}被{a}撞倒在地')
            return name.pick(f'{a}与{b}相撞', '发生交通事故，两车相撞', f'{a}撞上{b}，车头损毁')
        if self.hits_person:
            return name.pick(
                f'{a} hits {who}',
                f'{who} is knocked down by {a}',
                f'{a} runs over a pedestrian',
                f'a road accident, {who} lies in front of {a}',
            )
        return name.pick(
            f'{a} crashes into {b}',
            f'{a} and {b} collide',
            f'a road accident between {a} and {b}',
            'two vehicles have crashed and debris covers the ground',
            f'a car crash leaves {a} wrecked',
            f'{b} is smashed in a collision with {a}',
        )

    def regions(self, name: Namer) -> dict[str, str]:
        a, b, who = name.vehicle(self.first.vehicle), name.vehicle(self.second.vehicle), name.person(self.walker.look)
        if name.chinese:
            second = f'{who}被撞倒在地' if self.hits_person else f'{b}被撞坏'
            return {'first': f'{a}车头撞毁', 'second': second}
        return {
            'first': name.pick(
                f'{a} with a crushed front', f'a crashed {a.split(" ", 1)[1]}', f'{a} wrecked in a crash'
            ),
            'second': name.pick(f'{who} lying on the road', f'{who} hit by a vehicle')
            if self.hits_person
            else name.pick(f'{b} with a crushed front', f'a crashed {b.split(" ", 1)[1]}', f'{b} wrecked in a crash'),
        }


def _none(_: Box) -> None:
    """Callback for a part without a box."""


EVENTS: dict[str, type[Event]] = {
    event.kind: event for event in (Arson, Explosion, Fighting, RoadAccidents, Robbery, Vandalism)
}
