import re

import numpy as np
import pytest

from vadlab.simulators.common.palette import COLOURS
from vadlab.simulators.surveillance.negatives import hard_negatives
from vadlab.simulators.surveillance.wording import Phrase


def rng():
    return np.random.default_rng(0)


def test_each_is_wrong_in_the_colour_or_in_the_act():
    phrase = Phrase('a man in a red jacket', 'walking a dog')
    negatives = hard_negatives(phrase, rng(), 10)
    assert len(set(negatives)) == 10
    recoloured = [text for text in negatives if text.endswith('walking a dog')]
    others = [text for text in negatives if text.startswith('a man in a red jacket ')]
    assert len(recoloured) + len(others) == 10
    assert min(len(recoloured), len(others)) == 5
    assert all(re.fullmatch(rf'a man in an? ({"|".join(COLOURS)}) jacket walking a dog', text) for text in recoloured)
    assert not any(' red ' in text for text in recoloured)


def test_articles_follow_the_colour():
    negatives = hard_negatives(Phrase('an orange car', 'parked'), rng(), 12)
    assert all(re.match(r'(an orange|a (?!orange)\w+) car', text) for text in negatives), negatives


@pytest.mark.parametrize(
    ('act', 'also_true'),
    [('in a fight', 'fighting|punching'), ('crashed', 'wrecked'), ('pointing a gun', 'gun'), ('jogging', 'running')],
)
def test_acts_that_can_be_true_as_well_are_left_out(act, also_true):
    who = 'a red car' if act == 'crashed' else 'a man in blue and a man in red' if 'fight' in act else 'a man in blue'
    for text in hard_negatives(Phrase(who, act), rng(), 20):
        if not text.endswith(act):
            assert not re.search(also_true, text.replace(who, '')), text


def test_a_thing_without_colour_gets_other_acts_only():
    assert hard_negatives(Phrase('a bin', 'burning'), rng())
    assert all(text.startswith('a bin ') for text in hard_negatives(Phrase('a bin', 'burning'), rng()))
