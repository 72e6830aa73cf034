"""Hard negatives of region captions: one attribute is wrong, the colour or the act."""

import re

import numpy as np

from ..common.palette import COLOURS
from .everyday.decorator import WALL_ACTS
from .everyday.pair import PAIR_ACTS
from .everyday.passer import ACTS
from .wording import Phrase

# Acts in which a single one, two, or a thing can be; those of events are next to those of every day.
_SINGLE = (
    *(english for english, _ in ACTS.values()),
    *(english for english, _ in WALL_ACTS.values()),
    'cooking food on a grill',
    'pointing a gun',
    'raising both hands before a gun',
    'spraying graffiti',
    'swinging a bat',
    'holding a torch',
    'lying on the ground',
)
_TWO = (*(english for english, _, _ in PAIR_ACTS.values()), 'fighting', 'punching and kicking each other')
_CARS = ('parked', 'driving past', 'crashed', 'wrecked in a road accident')
# Acts of one family can be true of the same region.
_FAMILIES = (
    *(
        'fight|punch',
        'gun|robb|both',
        'graffiti|spray',
        r'\bbat\b|smash|golf',
        'torch|fire|burn',
        'lying|knocked|resting',
    ),
    *(
        'crash|wreck|accident|hit',
        'explo|fire',
        'walk|wait|phone',
        'jog|run',
        'grill|barbecue',
        'driving',
        'parked|waiting',
    ),
)
_THINGS = ('burning', 'of an explosion', 'sprayed on a wall', 'rising from a vent', 'smashed')


def hard_negatives(phrase: Phrase, rng: np.random.Generator, count: int = 5) -> list[str]:
    """Captions that are wrong about a region in its colours or in its act, without repetition.

    Args:
        phrase: What the region shows, in English.
        rng: Source of all choices.
        count: Number of negatives.
    """
    caption, found = phrase.clause(), dict[str, None]()
    families = [family for family in _FAMILIES if re.search(family, phrase.act)]
    acts = [act for act in _acts(phrase.who) if not any(re.search(family, act) for family in families)]
    acts = [act for act in acts if act not in phrase.act]
    attempts = 20 * count
    while len(found) < count and attempts:
        attempts -= 1
        if len(found) % 2 and re.search(rf'\b({"|".join(COLOURS)})\b', phrase.who):
            text = f'{_recoloured(phrase.who, rng)} {phrase.act}'.strip()
        elif acts:
            text = f'{phrase.who} {acts[rng.integers(len(acts))]}'
        else:
            break
        if text != caption:
            found[text] = None
    return list(found)


def _acts(who: str) -> tuple[str, ...]:
    if re.search(r'\b(man|woman)\b', who):
        return _TWO if ' and ' in who else _SINGLE
    return _CARS if re.search(r'\b(car|van|truck)\b', who) else _THINGS


def _recoloured(who: str, rng: np.random.Generator) -> str:
    """One of the colours replaced by another one."""
    places = list(re.finditer(rf'\b(an? )?({"|".join(COLOURS)})\b', who))
    place = places[rng.integers(len(places))]
    colour = [c for c in COLOURS if c != place[2]][rng.integers(len(COLOURS) - 1)]
    article = '' if place[1] is None else ('an ' if colour[0] in 'aeiou' else 'a ')
    return who[: place.start()] + article + colour + who[place.end() :]
