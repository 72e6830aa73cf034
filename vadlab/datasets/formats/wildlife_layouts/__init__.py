"""Readers for the public annotation layouts of wildlife data sets."""

from collections.abc import Callable
from pathlib import Path

from ..av_clip_metadata import AVClipRecord
from .animal_kingdom import read_animal_kingdom
from .mammalps import read_mammalps
from .panaf20k import read_panaf20k

#: Readers by name of the layout; each takes the folder of the data set.
LAYOUTS: dict[str, Callable[[Path], list[AVClipRecord]]] = {
    'mammalps': read_mammalps,
    'animal_kingdom': read_animal_kingdom,
    'panaf20k': read_panaf20k,
}

__all__ = ['LAYOUTS', 'read_animal_kingdom', 'read_mammalps', 'read_panaf20k']
