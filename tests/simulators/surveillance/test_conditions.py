import numpy as np
import pytest

from vadlab.simulators.surveillance.conditions import Conditions
from vadlab.simulators.surveillance.ground import size_at


def grey():
    return np.full((240, 320, 3), 128, np.uint8)


def test_day_changes_nothing_and_night_is_darker_than_dusk():
    levels = [Conditions(light, seed=3).illuminate(grey()).mean() for light in ('day', 'dusk', 'night')]
    assert levels[0] == 128
    assert levels[0] > levels[1] > levels[2] > 40


def test_rain_is_drawn_outdoors_only():
    rng = np.random.default_rng(0)
    drawn = Conditions(rain=True).weather(grey(), rng)
    assert 0.02 < (drawn.astype(int) - int(np.median(drawn)) > 20).any(2).mean() < 0.3
    assert np.array_equal(Conditions(rain=False).weather(grey(), rng), grey())
    assert not any(Conditions.sample(np.random.default_rng(i), outdoor=False).rain for i in range(100))
    assert 10 <= sum(Conditions.sample(np.random.default_rng(i), outdoor=True).rain for i in range(100)) <= 32


def test_shake_stays_within_its_amplitude():
    conditions = Conditions(shake=3.0, seed=11)
    offsets = np.array([conditions.offset(f) for f in range(300)])
    assert np.abs(offsets).max() <= 4
    assert len(np.unique(offsets, axis=0)) > 10
    assert Conditions().offset(7) == (0, 0)


def test_people_farther_away_are_smaller():
    assert size_at(232) == pytest.approx(0.78)
    assert size_at(128) == pytest.approx(0.46)
    assert size_at(140) < size_at(200)
