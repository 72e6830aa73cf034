"""Noun phrases and clauses for drawn people and cars, in English and Chinese."""

from dataclasses import dataclass

import numpy as np

from ..common.palette import CHINESE_COLOURS
from ..common.person import Look
from ..common.vehicle import Vehicle

_GARMENTS_ZH = {
    'jacket': '夹克',
    'shirt': '衬衫',
    'hoodie': '连帽衫',
    'sweater': '毛衣',
    'coat': '大衣',
    'dress': '裙子',
}
_VEHICLES_ZH = {'car': '汽车', 'van': '面包车', 'pickup truck': '皮卡'}


@dataclass(frozen=True)
class Phrase:
    """Who or what is seen, and what it does.

    Attributes:
        who: Noun phrase, such as 'a man in a red jacket'.
        act: Participle with its objects, such as 'walking a dog'; may be empty.
        plural: Whether ``who`` takes 'are'.
        chinese: Whether both are Chinese.
    """

    who: str
    act: str
    plural: bool = False
    chinese: bool = False

    def clause(self) -> str:
        """A caption without a verb: 'a man in a red jacket walking a dog'."""
        return f'{self.who}{self.act}' if self.chinese else f'{self.who} {self.act}'.strip()

    def sentence(self) -> str:
        """A main clause: 'a man in a red jacket is walking a dog'."""
        if self.chinese or not self.act:
            return self.clause()
        return f'{self.who} {"are" if self.plural else "is"} {self.act}'


class Namer:
    """Generator of noun phrases for people and cars.

    All choices between words go through :meth:`pick`, so that a subclass can collect every word.

    Args:
        rng: Source of random paraphrases.
        colours: False for a monochrome camera, so that captions name no invisible colours.
        chinese: Whether to use Chinese.
    """

    def __init__(self, rng: np.random.Generator, colours: bool = True, chinese: bool = False) -> None:
        self.rng, self.colours, self.chinese = rng, colours, chinese

    def pick(self, *choices: str) -> str:
        """A random choice."""
        return choices[self.rng.integers(len(choices))]

    def person(self, look: Look) -> str:
        """A phrase for a person, such as 'a man in a red jacket'."""
        if self.chinese:
            who = '男子' if look.noun == 'man' else '女子'
            colour = CHINESE_COLOURS[look.colour] if self.colours else ''
            return f'一名{"蒙面" if look.masked else ""}穿{colour}{_GARMENTS_ZH[look.garment]}的{who}'
        noun = f'{"masked " if look.masked else ""}{look.noun}'
        article = 'an' if self.colours and look.colour[0] in 'aeiou' else 'a'
        garment = f'{article} {look.colour} {look.garment}' if self.colours else f'a {look.garment}'
        full = f'a {noun} {self.pick("in", "wearing")} {garment}'
        short = f'a {noun} in {look.colour}' if self.colours else full
        return self.pick(full, full, full, short)

    def vehicle(self, vehicle: Vehicle) -> str:
        """A phrase for a car, such as 'a white van'."""
        if self.chinese:
            return f'一辆{CHINESE_COLOURS[vehicle.colour] if self.colours else ""}{_VEHICLES_ZH[vehicle.noun]}'
        if not self.colours:
            return f'a {vehicle.noun}'
        return f'{"an" if vehicle.colour[0] in "aeiou" else "a"} {vehicle.colour} {vehicle.noun}'


class EveryWord(Namer):
    """A namer whose choices are all made at once: its texts hold every alternative, for lists of words."""

    def __init__(self, chinese: bool = False) -> None:
        super().__init__(np.random.default_rng(0), chinese=chinese)

    def pick(self, *choices: str) -> str:
        """All choices, joined."""
        return ' / '.join(choices)
