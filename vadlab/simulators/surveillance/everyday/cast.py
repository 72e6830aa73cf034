"""The cast of ordinary people and cars of one video."""

from collections.abc import Callable

import numpy as np

from ...common.scene import OUTDOOR, Scene
from ..ground import walkable
from .actor import Actor
from .decorator import Decorator
from .grill import Grill
from .pair import Pair
from .passer import ACTS, Passer
from .photographer import Photographer
from .steam import Steam
from .traffic import CarQueue, Traffic

_INDOOR_ONLY = ('broom',)
_ROOFLESS_ONLY = ('umbrella', 'dog', 'run', 'jog', 'golf', 'rest')
_SLOTS = (40.0, 100.0, 160.0, 220.0, 280.0)  # x of those that stay in place

#: What looks like an event at a glance, and is none: kind -> where it can be, and how to make one.
LOOK_ALIKES: dict[str, tuple[str, Callable[..., Actor]]] = {
    'grill': ('open air', Grill.sample),
    'pair': ('anywhere', Pair.sample),
    'cars': ('cars', CarQueue.sample),
    'photo': ('anywhere', Photographer.sample),
    'wall': ('anywhere', Decorator.sample),
    'steam': ('open air', Steam.sample),
}


def sample_cast(
    rng: np.random.Generator,
    scene: Scene,
    people: int,
    look_alikes: int,
    cars: int,
    taken_x: float | None = None,
    floor: tuple[float, float] | None = None,
    without: tuple[str, ...] = (),
) -> dict[str, Actor]:
    """Ordinary people, look-alikes of events, and cars by role.

    Args:
        rng: Source of all choices.
        scene: Place; it decides what can be there.
        people: Number of single people.
        look_alikes: Number of look-alikes.
        cars: Number of cars, where cars may be.
        taken_x: x of an event, pixels; nobody stays there.
        floor: Smallest and largest y of all actors, pixels; the whole floor by default.
        without: Look-alikes that are left out.
    """
    floor = floor or walkable(scene)
    open_air = scene.outdoor or scene.kind in (*OUTDOOR, 'park')
    slots = [x for x in _SLOTS if taken_x is None or abs(x - taken_x) > 48]
    rng.shuffle(slots)
    found: dict[str, Actor] = {}

    def slot() -> float:
        return (slots.pop() if slots else float(rng.uniform(20, 300))) + float(rng.uniform(-14, 14))

    where = {'anywhere', *(('open air',) if open_air else ()), *(('cars',) if scene.outdoor else ())}
    kinds = [kind for kind, (place, _) in LOOK_ALIKES.items() if place in where and kind not in without]
    for i in range(look_alikes):
        kind = kinds[rng.integers(len(kinds))]
        found[f'{kind}{i}'] = LOOK_ALIKES[kind][1](rng, floor, x=slot())
    acts = [a for a in ACTS if a not in (_INDOOR_ONLY if open_air else _ROOFLESS_ONLY)]
    for i in range(people):
        found[f'person{i}'] = Passer.sample(rng, floor, acts[rng.integers(len(acts))], x=slot())
    if scene.outdoor:
        for i in range(cars):
            parked = bool(rng.random() < 0.5)
            found[f'car{i}'] = Traffic.sample(rng, floor, parked, x=slot() if parked else None)
    return found
