"""Video labels from lists and file names of the public feature sets."""

import contextlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .class_names import class_from_path

LABEL_SOURCES = ('auto', 'list', 'name_suffix', 'path', 'shanghaitech')

_SUFFIX = re.compile(r'_label_([A-Za-z0-9-]+)$')
_SHANGHAITECH = re.compile(r'^\d{2}_(\d{3,4})$')


class VideoLabel(NamedTuple):
    """Label of a whole video.

    Attributes:
        class_name (str | None): As written, such as ``B1-B2-G``; None for an anomaly of unknown class.
        label (int): Index of the first class; 0 is Normal, -1 anomalous of unknown class.
        class_labels (tuple[int, ...]): Indices of all classes.
    """

    class_name: str | None
    label: int
    class_labels: tuple[int, ...]


def find_label(
    video_id: str, name: str, text: str | None, classes: Sequence[str], source: str = 'auto'
) -> VideoLabel | None:
    """Find the label of a video.

    Args:
        video_id (str): Its id, which may end in XD-Violence's ``_label_B1-B2-G``, or be one of ShanghaiTech's.
        name (str): Its path in a list.
        text (str | None): The text beside the path in the list.
        classes (Sequence[str]): Class names; Normal comes first.
        source (str): Source of labels: ``list`` (beside the path), ``name_suffix`` (XD-Violence), ``path`` (UCF-Crime:
            the file name's first letters, or a folder), ``shanghaitech`` (campus videos with three digits are normal;
            those with four, the original test set, all contain an anomaly), or ``auto``: the first of these that gives
            a label.

    Returns:
        VideoLabel | None: None if the source gives no label.

    Raises:
        ValueError: The class is not one of ``classes``.
    """
    if text is not None and source in ('auto', 'list'):
        return parse_label(text, classes)
    suffix = _SUFFIX.search(video_id)
    if suffix and source in ('auto', 'name_suffix'):
        return parse_label(suffix[1], classes)
    if source in ('auto', 'path'):
        class_name = class_from_path(name, tuple(classes))
        if class_name is not None:
            return parse_label(class_name, classes)
    campus = _SHANGHAITECH.match(video_id)
    if campus and source in ('auto', 'shanghaitech'):
        return parse_label('1' if len(campus[1]) == 4 else '0', classes)
    return None


def parse_label(text: str, classes: Sequence[str]) -> VideoLabel:
    """Parse a label: a class, several joined by ``-`` or ``,`` (``0`` is a filler: ``B4-0-0``), or 0 or 1.

    >>> parse_label('B2-G-0', ('A', 'B1', 'B2', 'G'))
    VideoLabel(class_name='B2-G-0', label=2, class_labels=(2, 3))
    >>> parse_label('1.0', ('Normal', 'Anomaly'))
    VideoLabel(class_name='Anomaly', label=1, class_labels=(1,))

    Raises:
        ValueError: The class is not one of ``classes``, or Normal is joined with another.
    """
    return _parse_label(text, tuple(classes))


@lru_cache(4096)  # a set has many videos and few classes
def _parse_label(text: str, classes: tuple[str, ...]) -> VideoLabel:
    index = {name.lower(): i for i, name in enumerate(classes)}
    index.setdefault('normal', 0)
    if text.lower() not in index:
        with contextlib.suppress(ValueError):
            number = float(text)
            if number == 0:
                return VideoLabel(classes[0], 0, (0,))
            if number == 1:  # not NaN, which tables have where nobody gave a label
                return VideoLabel(classes[1], 1, (1,)) if len(classes) == 2 else VideoLabel(None, -1, ())
    parts = [text] if text.lower() in index else [part for part in re.split('[-,]', text) if part != '0']
    unknown = [part for part in parts if part.lower() not in index]
    if unknown or not parts:
        raise ValueError(f'{unknown[0] if unknown else text!r} is not a class')
    found = tuple(dict.fromkeys(index[part.lower()] for part in parts))
    if 0 in found and len(found) > 1:
        raise ValueError(f'{text!r} is normal and anomalous at once')
    return VideoLabel(classes[0] if text.lower() == 'normal' else text, found[0], found)
