"""Invented animals: their looks and calls."""

from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """Shape and colours of an animal; lengths are shares of the body's length.

    Attributes:
        body (float): Length of the body, a share of the picture's width.
        depth (float): Height of the body.
        legs (float): Length of the legs.
        neck (float): Length of the neck.
        head (float): Length of the head.
        ears (float): Length of the ears.
        tail (float): Length of the tail.
        coat (Colour): RGB.
        banded (bool): Whether it has dark bands across body and tail.
        horned (bool): Whether it has two horns.
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
    """Look and call of a species.

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

#: The first four require both modalities: each shares its look with one of the others, and its call with another one.
#: The last two require only pictures.
SPECIES = {
    'dusky whistler': Species('dusky', 'whistle'),
    'dusky triller': Species('dusky', 'trill'),
    'banded whistler': Species('banded', 'whistle'),
    'banded triller': Species('banded', 'trill'),
    'horned hooter': Species('horned', 'hoot'),
    'long-eared hooter': Species('long-eared', 'hoot'),
}


def individual(look: Look, rng: np.random.Generator, infrared: bool = False) -> Look:
    """A random individual of a look: size, shade and length of legs vary.

    Args:
        look (Look): Look of the species.
        rng (Generator): Source of the random variation.
        infrared (bool): Whether it is seen by an infrared flash; fur reflects infrared, so dark coats are grey.
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
