"""Zones and hours; expected values are found by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from vadlab.apis.live.zones import Zone, read_hours, read_zones, zone_of_boxes
from vadlab.utils.errors import ConfigError

LEFT = Zone('left', ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
CORNER = Zone('corner', ((0.5, 0.5), (1, 0.5), (1, 1)))  # a triangle


def test_the_centre_of_a_box_decides():
    boxes = np.array([[0.3, 0.1, 0.6, 0.3], [0.3, 0.1, 0.9, 0.3], [0.8, 0.6, 0.9, 0.7]], np.float32)
    assert LEFT.contains((boxes[:, :2] + boxes[:, 2:]) / 2).tolist() == [True, False, False]
    assert zone_of_boxes([LEFT, CORNER], boxes, np.array([0.1, 0.9, 0.2])) == 'corner'
    assert zone_of_boxes([LEFT, CORNER], boxes[:2], np.array([0.1, 0.9])) == 'left'
    assert zone_of_boxes([LEFT], boxes[1:], np.array([0.9, 0.2])) is None
    assert zone_of_boxes([LEFT], np.zeros((0, 4)), np.zeros(0)) is None


@pytest.mark.parametrize(
    ('corners', 'message'),
    [
        ([[0, 0], [1.2, 0], [1, 1]], r"'gate' is outside the picture: corner 2 is \(1.2, 0\)"),
        ([[0, 0], [640, 0], [640, 360]], r'outside the picture: corner 2 is \(640, 0\)'),
        ([[0, 0], [1, 1]], 'has no area'),
        ([[0, 0], [0.5, 0.5], [1, 1]], 'has no area'),
        ([[0, 0], [0.5], [1, 1]], r'a corner is \[x, y\], not \[0.5\]'),
    ],
)
def test_zones_that_cannot_be_used_are_named(corners, message):
    with pytest.raises(ConfigError, match=message):
        read_zones({'gate': corners})


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ('hours', 'time', 'expected'),
    [
        ('mon-fri 08:00-18:00', '2026-11-30T08:00', True),  # a Monday
        ('mon-fri 08:00-18:00', '2026-11-30T17:59', True),
        ('mon-fri 08:00-18:00', '2026-11-30T18:00', False),
        ('mon-fri 08:00-18:00', '2026-11-29T12:00', False),
        ('sun 22:00-06:00', '2026-11-30T05:59', True),  # Sunday night ends on Monday
        ('sun 22:00-06:00', '2026-11-30T22:30', False),
        ('sun 22:00-06:00', '2026-11-29T05:00', False),
        ('sat,sun 00:00-24:00', '2026-11-29T23:59', True),
        ('fri-mon 10:00-11:00', '2026-11-30T10:30', True),
        ('fri-mon 10:00-11:00', '2026-12-01T10:30', False),
        ('daily 10:00-11:00', '2026-12-01T10:30', True),
    ],
)
def test_hours(hours, time, expected):
    assert read_hours([hours], 'UTC').contains(at(time)) is expected


def test_hours_are_of_their_time_zone():
    berlin = read_hours(['daily 08:00-09:00'], 'Europe/Berlin')
    assert berlin.contains(at('2026-01-15T07:30'))  # winter: one hour ahead
    assert berlin.contains(at('2026-07-15T06:30'))  # summer: two
    assert not berlin.contains(at('2026-07-15T07:30'))


@pytest.mark.parametrize(
    ('hours', 'timezone', 'message'),
    [
        (['monday 8-18'], None, "'monday 8-18' cannot be read"),
        (['xyz 08:00-18:00'], None, 'cannot be read'),
        (['mon 08:00-25:00'], None, 'times are 00:00 to 24:00'),
        (['mon 08:70-09:00'], None, 'times are 00:00 to 24:00'),
        (['mon 08:00-08:00'], None, 'the end is not the start'),
        ([], None, 'nothing would ever count'),
        (['daily 08:00-09:00'], 'Mars/Base', "no time zone 'Mars/Base'"),
        (['daily 08:00-09:00'], '../../etc/passwd', 'no time zone'),
    ],
)
def test_hours_that_cannot_be_read_are_named(hours, timezone, message):
    with pytest.raises(ConfigError, match=message):
        read_hours(hours, timezone)
