"""A car drives against the direction of all others."""

import numpy as np

from ...common.scene import Scene
from ...common.vehicle import draw_vehicle
from ..events.event import Event
from ..everyday.traffic import Traffic
from ..stage import Stage
from ..wording import Namer, Phrase
from .cast import direction, open_floor


class WrongWay(Event):
    """A car that drove with the others drives against them."""

    kind = 'WrongWay'
    where = 'cars'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.floor = open_floor(scene)
        self.car = Traffic.sample(rng, self.floor, parked=False, facing=direction(scene))
        self.y = self.car.y

    def calm(self, stage: Stage, toward: float) -> None:
        self.car.draw(stage)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        way = (self.car.start + self.car.speed * stage.fps * elapsed_s) % 380 - 30
        facing = -self.car.facing
        x = way if facing > 0 else 320 - way
        stage.put(self.y, lambda image: draw_vehicle(image, self.car.vehicle, x, self.y, facing), 'car')

    def tell(self, name: Namer) -> str:
        a = name.vehicle(self.car.vehicle)
        if name.chinese:
            return f'{a}逆行'
        return name.pick(f'{a} drives the wrong way', f'{a} drives against the traffic')

    def regions(self, name: Namer) -> dict[str, Phrase]:
        a = name.vehicle(self.car.vehicle)
        if name.chinese:
            return {'car': Phrase(a, '逆行', chinese=True)}
        return {'car': Phrase(a, name.pick('driving the wrong way', 'driving against the traffic'))}
