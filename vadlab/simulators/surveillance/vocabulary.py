"""Every word that captions of everyday scenes can hold."""

import re
from dataclasses import replace

import numpy as np

from ..common.palette import COLOURS
from ..common.person import GARMENTS, Look
from ..common.scene import PAINTERS
from ..common.vehicle import NOUNS, Vehicle
from .captions import EMPTY, describe, people_clause
from .conditions import LEVELS, Conditions
from .everyday.decorator import WALL_ACTS, Decorator
from .everyday.grill import Grill
from .everyday.pair import PAIR_ACTS, Pair
from .everyday.passer import ACTS, Passer
from .everyday.photographer import Photographer
from .everyday.steam import Steam
from .everyday.traffic import CarQueue, Traffic
from .wording import EveryWord, Phrase


def everyday_texts() -> list[str]:
    """Texts that together hold all English captions of everyday scenes, with all their alternatives.

    Every actor is made in all its kinds, and :class:`EveryWord` takes all choices of words at once.
    """
    name, rng, floor = EveryWord(), np.random.default_rng(0), (180.0, 220.0)
    phrases: list[Phrase] = []
    phrases += [Passer.sample(rng, floor, act).phrase(name) for act in ACTS]
    phrases += [Pair.sample(rng, floor, act).phrase(name) for act in PAIR_ACTS]
    phrases += [Decorator.sample(rng, floor, act).phrase(name) for act in WALL_ACTS]
    phrases += [Traffic.sample(rng, floor, parked).phrase(name) for parked in (True, False)]
    phrases += [replace(Steam.sample(rng, floor), fountain=fountain).phrase(name) for fountain in (True, False)]
    phrases += [kind.sample(rng, floor).phrase(name) for kind in (Grill, Photographer, CarQueue)]
    look = Look.sample(rng)
    for noun, garments in GARMENTS.items():
        for garment in garments:
            for colour in COLOURS:
                phrases.append(Phrase(name.person(replace(look, noun=noun, garment=garment, colour=colour)), ''))
    vehicle = Vehicle.sample(rng)
    phrases += [
        Phrase(name.vehicle(replace(vehicle, noun=noun, colour=colour)), '') for noun in NOUNS for colour in COLOURS
    ]
    texts = [text for phrase in phrases for text in (phrase.clause(), phrase.sentence())]
    texts += [people_clause(phrases[:2], name), EMPTY]
    return texts + [describe('', kind, name, Conditions(light, rain=True)) for kind in PAINTERS for light in LEVELS]


def everyday_vocabulary() -> set[str]:
    """All English words of captions of everyday scenes, in lower case."""
    return {word for text in everyday_texts() for word in re.findall('[a-z]+', text.lower())}
