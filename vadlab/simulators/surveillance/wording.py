"""Noun phrases for drawn people and cars, in English and Chinese."""

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


class Namer:
    """Generator of noun phrases for people and cars.

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
        noun = self.pick(look.noun, look.noun, 'person')
        if self.rng.random() < 0.3:
            return f'a {"masked " if look.masked else ""}{noun}'
        if look.masked:
            noun = self.pick('masked ', 'hooded ') + noun
        colour = f'{look.colour} ' if self.colours else ''
        article = 'an' if colour.startswith('o') else 'a'
        if self.colours and self.rng.random() < 0.2:
            return f'a {noun} in {look.colour}'
        return f'a {noun} {self.pick("in", "wearing")} {article} {colour}{look.garment}'

    def vehicle(self, vehicle: Vehicle) -> str:
        """A phrase for a car, such as 'a white van'."""
        if self.chinese:
            return f'一辆{CHINESE_COLOURS[vehicle.colour] if self.colours else ""}{_VEHICLES_ZH[vehicle.noun]}'
        if not self.colours:
            return f'a {vehicle.noun}'
        return f'{"an" if vehicle.colour.startswith("o") else "a"} {vehicle.colour} {vehicle.noun}'
