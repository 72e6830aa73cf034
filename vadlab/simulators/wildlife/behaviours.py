"""What animals do: poses over time, and how fast they call meanwhile.

A single frame never tells: walking and running take the same poses, and an animal that leaps holds its head at the same
heights as one that nods. What differs is how poses follow each other, and the rate of the calls.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Calls a second, from and to.
RATES = {'slow': (1.1, 1.6), 'rapid': (5.5, 7.0)}
_EDGE = 0.2  # share of the picture's width at which an animal turns round


@dataclass(frozen=True)
class Pose:
    """An animal at one moment.

    Attributes:
        x (float): Place of the body's middle, a share of the picture's width.
        facing (int): 1 right, -1 left.
        stride (float): Phase of the legs, radians.
        reach (float): How far the legs swing, 0..1.
        head (float): 0 raised .. 1 at the ground.
        lift (float): Height above the ground, a share of the body's length.
    """

    x: float
    facing: int
    stride: float = 0.0
    reach: float = 0.0
    head: float = 0.0
    lift: float = 0.0


@dataclass(frozen=True)
class Behaviour:
    """Something to do.

    Attributes:
        move (Callable): Draws the constants of one animal's motion; gives its pose at a time in seconds.
        rate (str | None): Key of :data:`RATES`; None where either occurs.
    """

    move: Callable[[np.random.Generator], Callable[[float], Pose]]
    rate: str | None = None


def _travel(slowest: float, fastest: float, steps: float) -> Callable[[np.random.Generator], Callable[[float], Pose]]:
    """Back and forth between the picture's edges."""

    def move(rng: np.random.Generator) -> Callable[[float], Pose]:
        room = 1 - 2 * _EDGE
        start, speed = rng.uniform(0, 2 * room), rng.uniform(slowest, fastest)
        head, phase = _head(rng, 0.0), rng.uniform(0, 2 * np.pi)

        def pose(seconds: float) -> Pose:
            way = (start + speed * seconds) % (2 * room)
            x = _EDGE + (way if way < room else 2 * room - way)
            return Pose(x, 1 if way < room else -1, phase + 2 * np.pi * steps * seconds, 0.8, head(seconds))

        return pose

    return move


def _stay(nods: float = 0.0, leaps: float = 0.0) -> Callable[[np.random.Generator], Callable[[float], Pose]]:
    """In one place; nods and leaps a second."""

    def move(rng: np.random.Generator) -> Callable[[float], Pose]:
        x, facing = rng.uniform(_EDGE, 1 - _EDGE), int(rng.choice((-1, 1)))
        head, phase = _head(rng, nods * rng.uniform(0.85, 1.15)), rng.uniform(0, 1)
        rate = leaps * rng.uniform(0.9, 1.1)

        def pose(seconds: float) -> Pose:
            lift = 0.42 * abs(np.sin(np.pi * (phase + rate * seconds))) if leaps else 0.0
            return Pose(x, facing, 0.0, 0.12, head(seconds), lift)

        return pose

    return move


def _head(rng: np.random.Generator, rate: float) -> Callable[[float], float]:
    """The head's height; where it does not move, it stays where a nodding one would be at some moment."""
    phase = rng.uniform(0, 2 * np.pi)
    return lambda seconds: 0.5 - 0.5 * float(np.cos(phase + 2 * np.pi * rate * seconds))


_leap, _nod = _stay(leaps=1.7), _stay(nods=1.1)

#: The first four need eyes and ears: each moves as another one does, and calls at the rate of yet another.
BEHAVIOURS = {
    'alarm': Behaviour(_leap, 'rapid'),
    'display': Behaviour(_leap, 'slow'),
    'begging': Behaviour(_nod, 'rapid'),
    'foraging': Behaviour(_nod, 'slow'),
    'walking': Behaviour(_travel(0.10, 0.17, 1.0)),
    'running': Behaviour(_travel(0.42, 0.60, 2.2)),
}
