"""Invented animals: what each looks like, and how it calls."""

from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """An animal's shape; lengths are shares of the body's length.

    Attributes:
        body (float): Length of the body, a share of the picture's width.
        depth (float): Height of the body.
        legs (float): Length of the legs.
        neck (float): Length of the neck.
        head (float): Length of the head.
        ears (float): Length of the ears.
        tail (float): Length of the tail.
        coat (Colour): RGB.
        banded (bool): Dark bands across body and tail.
        horned (bool): Two horns.
    """

    body: float
    depth: float
    legs: float
    neck: float
    head: float
    ears: float
    tail: float
    coat: Colour
    banded: bool = False
    horned: bool = False


@dataclass(frozen=True)
class Species:
    """What tells a species from others.

    Attributes:
        look (str): Key of :data:`LOOKS`.
        call (str): Key of :data:`~vadlab.simulators.wildlife.calls.NOTES`.
    """

    look: str
    call: str


LOOKS = {
    'dusky': Look(0.36, 0.40, 0.34, 0.20, 0.30, 0.10, 0.55, (84, 66, 54)),
    'banded': Look(0.36, 0.40, 0.34, 0.20, 0.30, 0.10, 0.55, (208, 186, 150), banded=True),
    'horned': Look(0.31, 0.46, 0.72, 0.44, 0.30, 0.12, 0.10, (160, 104, 62), horned=True),
    'long-eared': Look(0.25, 0.62, 0.26, 0.10, 0.36, 0.46, 0.10, (146, 128, 104)),
}

#: The first four need eyes and ears: each shares its look with one of the others, and its call with another one.
#: The last two need eyes alone.
SPECIES = {
    'dusky whistler': Species('dusky', 'whistle'),
    'dusky triller': Species('dusky', 'trill'),
    'banded whistler': Species('banded', 'whistle'),
    'banded triller': Species('banded', 'trill'),
    'horned hooter': Species('horned', 'hoot'),
    'long-eared hooter': Species('long-eared', 'hoot'),
}


def individual(look: Look, rng: np.random.Generator, infrared: bool = False) -> Look:
    """One animal of that look: bigger or smaller, lighter or darker, longer or shorter in the legs.

    Args:
        look (Look): Of the species.
        rng (Generator): Chooses the individual.
        infrared (bool): As a flash shows it: fur reflects infrared, so that dark coats are grey.
    """
    coat = np.array(look.coat) * rng.uniform(0.85, 1.15) + rng.normal(0, 6, 3) + (70 if infrared else 0)
    red, green, blue = np.clip(coat, 0, 255).astype(int).tolist()
    return replace(
        look,
        body=look.body * float(rng.uniform(0.88, 1.15)),
        depth=look.depth * float(rng.uniform(0.92, 1.08)),
        legs=look.legs * float(rng.uniform(0.9, 1.1)),
        head=look.head * float(rng.uniform(0.95, 1.05)),
        ears=look.ears * float(rng.uniform(0.9, 1.1)),
        tail=look.tail * float(rng.uniform(0.9, 1.1)),
        coat=(red, green, blue),
    )
