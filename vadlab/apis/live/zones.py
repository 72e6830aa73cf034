"""Where and when a camera counts: polygons in the picture, and times of the week."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from vadlab.utils.errors import ConfigError

_DAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
_SPAN = re.compile(r'([a-z,\- ]+?)\s+(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)')
_WHOLE_DAY = 24 * 60  # minutes


@dataclass(frozen=True)
class Zone:
    """A polygon in the picture.

    Attributes:
        name (str): Unique in its camera.
        corners (tuple[tuple[float, float], ...]): x and y of each corner, as shares of the width and the height of the
            upright picture, 0..1.

    Raises:
        ConfigError: A corner is outside the picture, or the polygon has no area.
    """

    name: str
    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        for number, (x, y) in enumerate(self.corners, 1):
            if not (0 <= x <= 1 and 0 <= y <= 1):
                raise ConfigError(
                    f'the zone {self.name!r} is outside the picture: corner {number} is ({x:g}, {y:g}). Corners are '
                    'shares of the width and the height, 0 to 1, from the top left.'
                )
        if len(self.corners) < 3 or self._area() < 1e-6:
            raise ConfigError(f'the zone {self.name!r} has no area. Give at least three corners, in order.')

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Whether points are inside or on the edge, bool, shape (n,).

        Args:
            points (np.ndarray): x and y as shares of the width and the height, shape (n, 2).
        """
        import cv2  # here, so that a wrong command is answered before it is loaded

        polygon = np.array(self.corners, np.float32).reshape(-1, 1, 2)
        return np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in points], bool)

    def _area(self) -> float:
        x, y = np.array(self.corners).T
        return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def zone_of_boxes(zones: Sequence[Zone], boxes_xyxyn: np.ndarray, scores: np.ndarray) -> str | None:
    """The zone with the highest-scoring box whose centre it contains; None if no box is in a zone.

    Args:
        zones (Sequence[Zone]): The zones of a camera.
        boxes_xyxyn (np.ndarray): Boxes as shares of the width and the height, shape (n, 4).
        scores (np.ndarray): Their scores, shape (n,).
    """
    centres = (boxes_xyxyn[:, :2] + boxes_xyxyn[:, 2:]) / 2
    best: tuple[float, str] | None = None
    for zone in zones:
        inside = scores[zone.contains(centres)]
        if len(inside) and (best is None or inside.max() > best[0]):
            best = float(inside.max()), zone.name
    return None if best is None else best[1]


def read_zones(zones: Mapping[str, Sequence[Sequence[float]]]) -> tuple[Zone, ...]:
    """Zones from names and lists of corners.

    Raises:
        ConfigError: A corner is not a pair of numbers, or see :class:`Zone`.
    """
    for name, corners in zones.items():
        bad = next((corner for corner in corners if len(corner) != 2), None)
        if bad is not None:
            raise ConfigError(f'the zone {name!r}: a corner is [x, y], not {str(list(bad))[:60]}.')
    return tuple(Zone(name, tuple((x, y) for x, y in corners)) for name, corners in zones.items())


@dataclass(frozen=True)
class WeekHours:
    """Times of the week.

    Attributes:
        spans (tuple[tuple[int, int, int], ...]): Day (0 is Monday), first minute, and one past the last minute of the
            day, which is above 1440 for a span that ends on the next day.
        zone (tzinfo | None): Time zone; None for that of the machine.
    """

    spans: tuple[tuple[int, int, int], ...]
    zone: tzinfo | None = None

    def contains(self, time: float) -> bool:
        """Whether a time, in seconds since 1970, is in one of the spans."""
        local = datetime.fromtimestamp(time, self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        yesterday = (day - 1) % 7
        return any(
            (on == day and start <= minute < end) or (on == yesterday and start <= minute + _WHOLE_DAY < end)
            for on, start, end in self.spans
        )


def read_hours(texts: Sequence[str], timezone: str | None = None) -> WeekHours:
    """Times of the week from texts such as ``mon-fri 18:00-07:00``, ``sat,sun 00:00-24:00`` or ``daily 08:00-12:30``.

    A span whose end is not after its start ends on the next day.

    Args:
        texts (Sequence[str]): The spans, at least one.
        timezone (str | None): Such as ``Europe/Berlin``; None for the time zone of the machine.

    Raises:
        ConfigError: A text or the time zone cannot be read.
    """
    zone = None
    if timezone is not None:
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(f'there is no time zone {timezone[:60]!r}. Give one such as Europe/Berlin.') from error
    if not texts:
        raise ConfigError('hours is empty, so nothing would ever count. Leave it out to count always.')
    return WeekHours(tuple(span for text in texts for span in _spans(text)), zone)


def _spans(text: str) -> list[tuple[int, int, int]]:
    match = _SPAN.fullmatch(text.strip().lower())
    days = _days(match[1]) if match else None
    if match is None or days is None:
        raise ConfigError(f'the hours {text[:60]!r} cannot be read. Write them as "mon-fri 18:00-07:00".')
    start, end = int(match[2]) * 60 + int(match[3]), int(match[4]) * 60 + int(match[5])
    if start >= _WHOLE_DAY or end > _WHOLE_DAY or int(match[3]) > 59 or int(match[5]) > 59 or start == end:
        raise ConfigError(f'the hours {text[:60]!r}: times are 00:00 to 24:00, and the end is not the start.')
    return [(day, start, end if end > start else end + _WHOLE_DAY) for day in days]


def _days(text: str) -> list[int] | None:
    """Days from a list of days and ranges; None if it cannot be read."""
    if text.strip() == 'daily':
        return list(range(7))
    found: list[int] = []
    for part in text.split(','):
        first, _, last = (word.strip() for word in part.partition('-'))
        last = last or first
        if first not in _DAYS or last not in _DAYS:
            return None
        start, stop = _DAYS.index(first), _DAYS.index(last)
        found += [(start + k) % 7 for k in range((stop - start) % 7 + 1)]
    return sorted(set(found))
