"""Content of a captioned picture: one or two groups of things, an action, a relation, a place."""

from dataclasses import dataclass

import numpy as np

COLOURS = ('red', 'blue', 'green', 'yellow', 'purple', 'white', 'black')
PEOPLE = ('man', 'woman')
GARMENTS = {'man': ('shirt', 'coat'), 'woman': ('shirt', 'dress')}  # they differ in length
VEHICLES = ('car', 'van', 'pickup truck')
SHAPES = ('ball', 'box', 'cone')
ACTIONS = ('standing', 'walking', 'running', 'waving', 'lying on the ground', 'raising both hands', 'kneeling')
RELATIONS = ('to the left of', 'to the right of')
OUTDOOR = ('street', 'car park', 'petrol station', 'alley', 'park')
INDOOR = ('shop', 'corridor', 'warehouse', 'bank lobby')


@dataclass(frozen=True)
class Group:
    """Things of one kind and colour.

    Attributes:
        noun (str): One of :data:`PEOPLE`, :data:`VEHICLES` or :data:`SHAPES`.
        colour (str): Colour of the thing, or of a person's garment.
        count (int): Number of things, 1..4.
        garment (str | None): Garment of people.
    """

    noun: str
    colour: str
    count: int = 1
    garment: str | None = None

    @classmethod
    def sample(cls, rng: np.random.Generator, nouns: tuple[str, ...], most: int) -> 'Group':
        """A random group of at most ``most``."""
        noun = str(rng.choice(nouns))
        garment = str(rng.choice(GARMENTS[noun])) if noun in PEOPLE else None
        return cls(noun, str(rng.choice(COLOURS)), int(rng.integers(1, most + 1)), garment)


@dataclass(frozen=True)
class Content:
    """Everything about a picture that a caption may describe.

    Attributes:
        place (str): Kind of scene, one of :data:`OUTDOOR` and :data:`INDOOR`.
        subject (Group): Subject of the sentence.
        action (str | None): Action of people, one of :data:`ACTIONS`; None for things.
        relation (str | None): Position of the subject relative to the object, one of :data:`RELATIONS`.
        other (Group | None): The object, one thing; only with a relation.
    """

    place: str
    subject: Group
    action: str | None = None
    relation: str | None = None
    other: Group | None = None

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Content':
        """Random content: people, vehicles or shapes, in two of five pictures with a second object."""
        kind = rng.choice(('people', 'people', 'people', 'vehicles', 'shapes'))
        with_other = bool(rng.random() < 0.4)
        outdoor = kind == 'vehicles' or rng.random() < 0.5
        place = str(rng.choice(OUTDOOR if outdoor else INDOOR))
        nouns = {'people': PEOPLE, 'vehicles': VEHICLES, 'shapes': SHAPES}[str(kind)]
        most = 1 if with_other else {'people': 3, 'vehicles': 2, 'shapes': 4}[str(kind)]
        subject = Group.sample(rng, nouns, most)
        action = str(rng.choice(ACTIONS)) if kind == 'people' else None
        if not with_other:
            return cls(place, subject, action)
        other = Group.sample(rng, VEHICLES if outdoor and kind != 'vehicles' and rng.random() < 0.6 else SHAPES, 1)
        return cls(place, subject, action, str(rng.choice(RELATIONS)), other)
