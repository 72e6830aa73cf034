"""Behaviours of animals: poses over time, and rates of their calls.

A single frame never shows the behaviour: walking and running have the same poses, and a leaping animal holds its head
at the same heights as a nodding one. Behaviours differ in the sequence of poses and in the rate of the calls.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Calls per second, lowest and highest.
RATES = {'slow': (1.1, 1.6), 'rapid': (5.5, 7.0)}
_EDGE = 0.2  # distance from the edge at which an animal turns round, share of the picture's width


@dataclass(frozen=True)
class Pose:
    """An animal at one moment.

    Attributes:
        x (float): Position of the body's middle, a share of the picture's width.
        facing (int): 1 right, -1 left.
        stride (float): Phase of the legs, radians.
        reach (float): Amplitude of the legs, 0..1.
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
    """Motion and call rate of a behaviour.

    Attributes:
        move (Callable): Takes a random generator and returns one animal's motion: its pose at a time in seconds.
        rate (str | None): Key of :data:`RATES`; None if both rates occur.
    """

    move: Callable[[np.random.Generator], Callable[[float], Pose]]
    rate: str | None = None


def _travel(slowest: float, fastest: float, steps: float) -> Callable[[np.random.Generator], Callable[[float], Pose]]:
    """Motion back and forth between the picture's edges."""

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
    """Motion in one place, with nods and leaps per second."""

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
    """Height of the head over time; a head that does not move has the height of a nodding one at a random moment."""
    phase = rng.uniform(0, 2 * np.pi)
    return lambda seconds: 0.5 - 0.5 * float(np.cos(phase + 2 * np.pi * rate * seconds))


_leap, _nod = _stay(leaps=1.7), _stay(nods=1.1)

#: The first four require both modalities: each shares its motion with one of the others, its call rate with another.
BEHAVIOURS = {
    'alarm': Behaviour(_leap, 'rapid'),
    'display': Behaviour(_leap, 'slow'),
    'begging': Behaviour(_nod, 'rapid'),
    'foraging': Behaviour(_nod, 'slow'),
    'walking': Behaviour(_travel(0.10, 0.17, 1.0)),
    'running': Behaviour(_travel(0.42, 0.60, 2.2)),
}
