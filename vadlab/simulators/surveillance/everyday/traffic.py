"""Cars that drive past, are parked, or wait in line."""

from dataclasses import dataclass, replace

import numpy as np

from ...common.vehicle import Vehicle, draw_vehicle
from ..ground import size_at
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor

_CAR_SIZE = 0.92


def sized(vehicle: Vehicle, y: float) -> Vehicle:
    """The vehicle as long as it looks at ground position ``y``."""
    return replace(vehicle, length=vehicle.length * _CAR_SIZE * size_at(y))


@dataclass(frozen=True)
class Traffic(Actor):
    """A car driving past, or parked."""

    vehicle: Vehicle
    y: float
    facing: int
    speed: float
    start: float

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        floor: tuple[float, float],
        parked: bool | None = None,
        x: float | None = None,
        facing: int | None = None,
    ) -> 'Traffic':
        """A random car; randomly parked (at ``x``) or driving unless ``parked`` is given."""
        parked = bool(rng.random() < 0.5) if parked is None else parked
        y = float(rng.uniform(*floor))
        return cls(
            vehicle=sized(Vehicle.sample(rng), y),
            y=y,
            facing=(1 if rng.random() < 0.5 else -1) if facing is None else facing,
            speed=0.0 if parked else float(rng.uniform(1.6, 3.2)) * size_at(y) * 1.6,
            start=(float(rng.uniform(40, 280)) if x is None else x) if parked else float(rng.uniform(0, 460)),
        )

    def place(self, frame: int) -> float:
        """Position x of the centre, in pixels."""
        if not self.speed:
            return self.start
        way = (self.start + self.speed * frame) % 460 - 70
        return way if self.facing > 0 else 320 - way

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the car on the stage."""
        x = self.place(stage.frame)
        stage.put(self.y, lambda image: draw_vehicle(image, self.vehicle, x, self.y, self.facing), role)

    def phrase(self, name: Namer) -> Phrase:
        """The car, and whether it drives."""
        acts = ('driving past', '驶过') if self.speed else ('parked', '停着')
        return Phrase(name.vehicle(self.vehicle), acts[name.chinese], chinese=name.chinese)


@dataclass(frozen=True)
class CarQueue(Actor):
    """Two cars close together, the second waiting behind the first."""

    first: Vehicle
    second: Vehicle
    x: float
    y: float
    facing: int

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float], x: float | None = None) -> 'CarQueue':
        """Two random cars with their middle at ``x``."""
        y = float(rng.uniform(*floor))
        return cls(
            sized(Vehicle.sample(rng), y),
            sized(Vehicle.sample(rng), y),
            float(rng.uniform(70, 250)) if x is None else x,
            y,
            1 if rng.random() < 0.5 else -1,
        )

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put both cars on the stage under one role."""
        creep = 2.0 * np.sin(0.03 * stage.frame)
        for vehicle, side in ((self.first, 1), (self.second, -1)):
            x = self.x + side * self.facing * 0.54 * vehicle.length + creep
            stage.put(
                self.y,
                lambda image, v=vehicle, x=x: draw_vehicle(image, v, x, self.y, self.facing),  # type: ignore[misc]
                role,
            )

    def phrase(self, name: Namer) -> Phrase:
        """Both cars."""
        a, b = name.vehicle(self.first), name.vehicle(self.second)
        if name.chinese:
            return Phrase(f'{b}', f'排在{a}后面等候', chinese=True)
        return Phrase(b, f'waiting close behind {a}')
