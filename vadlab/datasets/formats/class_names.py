"""Class names of the public data sets, Normal first, and their detection in paths."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from vadlab.utils.errors import ConfigError

from ..video_names import path_parts

UCF_CRIME_CLASSES = (
    'Normal',
    'Abuse',
    'Arrest',
    'Arson',
    'Assault',
    'Burglary',
    'Explosion',
    'Fighting',
    'RoadAccidents',
    'Robbery',
    'Shooting',
    'Shoplifting',
    'Stealing',
    'Vandalism',
)
#: XD-Violence: normal, fighting, shooting, riot, abuse, car accident, explosion.
XD_VIOLENCE_CLASSES = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')

_NORMAL = re.compile(r'(?<![a-z])normal', re.IGNORECASE)
_CLASS_PREFIX = re.compile(r'[A-Za-z]+')


def equal_but_for_case(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in capital letters or spaces, in the given order.

    >>> equal_but_for_case(['Red Fox', 'Lynx', 'red  fox', 'Lynx'])
    [['Red Fox', 'red  fox']]
    """
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(' '.join(name.lower().split()), {})[name] = None
    return [list(group) for group in groups.values() if len(group) > 1]


def check_class_names(classes: Sequence[str], asker: str) -> tuple[str, ...]:
    """Check that class names are distinct, and return them as a tuple.

    Raises:
        ConfigError: There are fewer than two, one is repeated, or two differ only in capital letters, which annotations
            and paths may write either way.
    """
    classes = () if isinstance(classes, str) else tuple(classes)
    if len(classes) < 2 or not all(isinstance(name, str) and name.strip() for name in classes):
        raise ConfigError(f'{asker}: classes must name Normal and at least one anomaly, not {classes!r}')
    same = equal_but_for_case(classes)
    if same or len(set(classes)) < len(classes):
        twice = same[0] if same else [name for name in classes if classes.count(name) > 1]
        raise ConfigError(f'{asker}: classes must differ in more than capital letters, not {" and ".join(twice)}')
    return classes


def class_from_path(path: str, classes: tuple[str, ...] = UCF_CRIME_CLASSES) -> str | None:
    """Class in a video's path: from the first letters of the file name, else from the nearest folder.

    >>> class_from_path('Videos/Abuse/Abuse001_x264.mp4')
    'Abuse'
    >>> class_from_path('Testing_Normal_Videos_Anomaly/Normal_Videos_015_x264.mp4')
    'Normal'
    >>> class_from_path('clips/Basketball001.mp4') is None
    True
    """
    by_lower = _by_lower_case(classes)
    *folders, file_name = path_parts(path)
    prefix = _CLASS_PREFIX.match(file_name)
    for name in (prefix[0] if prefix else '', *reversed(folders)):
        if name.lower() in by_lower:
            return by_lower[name.lower()]
        if _NORMAL.search(name):
            return classes[0]
    return None


@lru_cache(64)
def _by_lower_case(classes: tuple[str, ...]) -> dict[str, str]:
    return {name.lower(): name for name in classes}
