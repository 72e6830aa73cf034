"""Five reference captions for a picture, each complete and correct, in different words."""

import numpy as np

from ..surveillance.captions import PLACES
from .content import PEOPLE, VEHICLES, Content, Group

_NUMBERS = ('', 'a', 'two', 'three', 'four')
_PLURALS = {'man': 'men', 'woman': 'women', 'box': 'boxes'}
_DOING = {
    'standing': ('standing', 'standing still'),
    'walking': ('walking',),
    'running': ('running',),
    'waving': ('waving', 'waving a hand'),
    'lying on the ground': ('lying on the ground', 'lying down'),
    'raising both hands': ('raising both hands', 'holding both hands up'),
    'kneeling': ('kneeling', 'kneeling on the ground'),
}
# The first of each is the plain form, which most references use.
_RELATIONS = {
    'to the left of': ('to the left of', 'left of', 'on the left side of'),
    'to the right of': ('to the right of', 'right of', 'on the right side of'),
}
_PLAIN = 0.7


def write_captions(content: Content, rng: np.random.Generator) -> list[str]:
    """Five captions that differ in words and in the order of their parts."""
    frames = (
        '{np} {verb} {rest} {place}',
        '{np} {doing} {rest} {place}',
        'there {verb_be} {np} {doing} {rest} {place}',
        '{place} {np} {verb} {rest}',
        '{np} {verb} {rest} {place}',
    )
    return [_sentence(frame, content, rng) for frame in frames]


def _sentence(frame: str, content: Content, rng: np.random.Generator) -> str:
    subject, other = content.subject, content.other
    is_are = 'is' if subject.count == 1 else 'are'
    doing = ''
    if content.action:
        doing = _pick(_DOING[content.action], rng)
    elif subject.noun in VEHICLES:
        doing = 'parked'
    rest = ''
    if content.relation and other:
        rest = f'{_pick(_RELATIONS[content.relation], rng)} {_noun_phrase(other, rng)}'
    if frame.startswith('{place}') and not (doing or rest):
        frame = '{place} there {verb_be} {np}'  # avoids "in a shop a box is"
    text = frame.format(
        np=_noun_phrase(subject, rng),
        verb=f'{is_are} {doing}',
        verb_be=is_are,
        doing=doing,
        rest=rest,
        place=_pick(PLACES[content.place][0], rng),
    )
    text = ' '.join(text.split())
    return f'{text[0].upper()}{text[1:]}.'


def _noun_phrase(group: Group, rng: np.random.Generator) -> str:
    one = group.count == 1
    noun = group.noun if one else _PLURALS.get(group.noun, f'{group.noun}s')
    if group.noun not in PEOPLE:
        return f'{_NUMBERS[group.count]} {group.colour} {noun}'
    garment = f'a {group.colour} {group.garment}'
    if not one:
        garment = f'{group.colour} {group.garment}{"es" if group.garment == "dress" else "s"}'
    return f'{_NUMBERS[group.count]} {noun} {_pick(("in", "wearing"), rng)} {garment}'


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    if len(choices) == 1 or rng.random() < _PLAIN:
        return choices[0]
    return choices[int(rng.integers(1, len(choices)))]
