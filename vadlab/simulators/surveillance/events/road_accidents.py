"""Two cars collide, or a car hits a person."""

import math

import cv2
import numpy as np

from ...common.person import lie
from ...common.scene import Scene
from ...common.vehicle import draw_vehicle
from .. import effects
from ..everyday.traffic import Traffic
from ..ground import walkable
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, approach, no_box, put_person


class RoadAccidents(Event):
    """Two cars collide, or a car hits a person."""

    kind = 'RoadAccidents'
    where = 'cars'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        floor = walkable(scene)
        lane = (max(floor[0], self.y - 3), min(self.y + 3, floor[1]))
        self.first = Traffic.sample(rng, lane, parked=False)
        self.second = Traffic.sample(rng, lane, parked=False)
        self.walker = self.person(rng, 'cross')
        self.hits_person = bool(rng.random() < 0.35)
        self.tilts = rng.uniform(0.05, 0.3, 2)
        self.rolled = bool(rng.random() < 0.25)
        self.damage = rng.random((2, 16, 2))

    def _places(self) -> tuple[float, float]:
        a, b = 0.36 * self.first.vehicle.length, 0.36 * self.second.vehicle.length
        return self.x - self.side * a, self.x + self.side * (0.5 * self.first.vehicle.length if self.hits_person else b)

    def calm(self, stage: Stage, toward: float) -> None:
        a, b = self._places()
        facings = (self.side, -self.side)
        for car, x, facing in zip((self.first, self.second), (a, b), facings, strict=True):
            if self.hits_person and car is self.second:
                approach(stage, self.walker, b, self.y, toward)
                continue
            if not toward:
                car.draw(stage)
                continue
            at = x - facing * 260 * (1 - toward)
            y = car.y + toward * (self.y - car.y)
            stage.put(y, lambda image, c=car, at=at, y=y, f=facing: draw_vehicle(image, c.vehicle, at, y, f))  # type: ignore[misc]

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        (a, b), k = self._places(), self.size
        settle = min(elapsed_s / 0.5, 1.0)
        stage.put(-1, lambda image: self._skid(image, a))
        first = self.first.vehicle
        tilt = 0.0 if self.hits_person else self.tilts[0] * (1.6 - 0.6 * settle)
        force = 0.7 if self.hits_person else 1.0
        stage.put(
            self.y,
            lambda image: draw_vehicle(image, first, a, self.y, self.side, tilt, force, self.damage[0]),
            'crash',
        )
        if self.hits_person:
            at = b + self.side * 18 * k
            put_person(stage, self.walker, at, self.y + 4, -self.side, lie(elapsed_s), 'crash')
        else:
            turned = math.pi - 0.15 if self.rolled else self.tilts[1] * (1.6 - 0.6 * settle)
            stage.put(
                self.y - 3,
                lambda image: draw_vehicle(
                    image, self.second.vehicle, b, self.y - 3, -self.side, turned, 1.0, self.damage[1]
                ),
                'crash',
            )
        static, spread = np.random.default_rng(self.seed), (40 + 40 * settle) * k
        stage.put(
            self.y + 2, lambda image: no_box(effects.draw_rubble(image, self.x, self.y + 3, spread, static, 20, k))
        )
        size, clock = (40 + 20 * settle) * k, stage.clock
        stage.light(lambda image: no_box(effects.draw_smoke(image, self.x, self.y - 44 * k, size, clock, 190, 1.1)))

    def _skid(self, image: np.ndarray, x: float) -> None:
        for dy in (0, 9 * self.size):
            t = np.linspace(0, 1, 12)
            xs = x - self.side * 150 * self.size * t
            ys = self.y + dy - 3 + 10 * self.size * np.sin(3 * t + self.tilts[0] * 9)
            points = np.stack([xs, ys], 1).round().astype(np.int32)
            cv2.polylines(image, [points], False, (24, 24, 24), 2, cv2.LINE_AA)

    def _names(self, name: Namer) -> tuple[str, str]:
        other = name.person(self.walker.look) if self.hits_person else name.vehicle(self.second.vehicle)
        return name.vehicle(self.first.vehicle), other

    def tell(self, name: Namer) -> str:
        a, b = self._names(name)
        if name.chinese:
            return name.pick(f'{a}撞倒{b}', f'发生交通事故，{b}被{a}撞倒') if self.hits_person else f'{a}与{b}相撞'
        if self.hits_person:
            return name.pick(
                f'{a} hits {b}',
                f'{b} is knocked down by {a}',
                f'a road accident, {b} lies on the ground in front of {a}',
            )
        return name.pick(
            f'{a} crashes into {b}',
            f'{a} and {b} collide',
            f'a road accident between {a} and {b}',
            f'a crash leaves {a} and {b} wrecked',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a, b = self._names(name)
        if name.chinese:
            return {'crash': Phrase(f'{a}和{b}', '相撞', chinese=True)}
        if self.hits_person:
            return {'crash': Phrase(a, name.pick(f'hitting {b}', f'in a road accident with {b}'))}
        return {'crash': Phrase(f'{a} and {b}', name.pick('crashed', 'wrecked in a road accident'), plural=True)}
