"""Class names of the public data sets, and how paths carry them. Normal comes first."""

import re
from pathlib import PurePosixPath

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
#: Normal, fighting, shooting, riot, abuse, car accident, explosion.
XD_VIOLENCE_CLASSES = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')

_NORMAL = re.compile(r'(?<![a-z])normal', re.IGNORECASE)
_CLASS_PREFIX = re.compile(r'[A-Za-z]+')


def class_from_path(path: str, classes: tuple[str, ...] = UCF_CRIME_CLASSES) -> str | None:
    """The class that a video's path names: by its file name's first letters, else by its nearest folder.

    >>> class_from_path('Videos/Abuse/Abuse001_x264.mp4')
    'Abuse'
    >>> class_from_path('Testing_Normal_Videos_Anomaly/Normal_Videos_015_x264.mp4')
    'Normal'
    >>> class_from_path('clips/Basketball001.mp4') is None
    True
    """
    by_lower = {name.lower(): name for name in classes}
    *folders, file_name = PurePosixPath(path.replace('\\', '/')).parts
    prefix = _CLASS_PREFIX.match(file_name)
    for name in (prefix[0] if prefix else '', *reversed(folders)):
        if name.lower() in by_lower:
            return by_lower[name.lower()]
        if _NORMAL.search(name):
            return classes[0]
    return None
