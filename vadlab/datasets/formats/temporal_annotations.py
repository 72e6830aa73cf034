"""Reading temporal annotation files: the anomalous frames of each video.

Three public formats are distinguished line by line, by the position of the first integer:

    ``Abuse028_x264.mp4  Abuse  165  240  -1  -1``                UCF-Crime: name, class, pairs; -1 -1: unused pair
    ``v=S-7rRLrxnVQ__#1_label_B4-0-0 0 1517 1970 3038``           XD-Violence: name, pairs
    ``v=S-7rRLrxnVQ__#1_label_B4-0-0 B4 0 1517 B4 1970 3038``     XD-Violence with a class before each pair

A name with a video file's extension may contain spaces, and so may a class: ``gate 2.mp4  Road Accidents  10 30``.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.text_file import read_lines

from ..video_names import VIDEO_ENDINGS, video_id_of

INTERVAL_MODES = ('half_open', 'inclusive', 'matlab')

_INTEGER = re.compile(r'[+-]?\d+')
_MOST_DIGITS = 12  # the sign included; int64 holds them, whatever interval_mode adds
_XD_LABEL = re.compile(r'_label_([A-Z0-9-]+)$')
_FILE_NAME = re.compile(rf'\s*(\S.*?(?:{"|".join(map(re.escape, VIDEO_ENDINGS))}))(?=\s|$)', re.IGNORECASE)


class ClassInterval(NamedTuple):
    """Anomalous frames of one class, 0-based half-open ``[start, end)``.

    Attributes:
        class_name (str): Class in the file. If an XD-Violence file names no class before each interval, it is the
            video's class, possibly several joined: ``B1-B2``.
        start (int): First frame.
        end (int): Last frame + 1.
    """

    class_name: str
    start: int
    end: int


class TemporalAnnotation(NamedTuple):
    """Temporal annotation of one video.

    Attributes:
        class_name (str): Class in the file, such as ``Abuse`` or ``Normal``. If only intervals have classes, the class
            of the first. Empty if the annotation has no classes (frame masks).
        intervals (np.ndarray): Anomalous frames, 0-based half-open ``[start, end)``, int64, shape (K, 2), sorted by
            start.
        class_intervals (tuple[ClassInterval, ...]): The same intervals in the order of the file, with classes.
    """

    class_name: str
    intervals: np.ndarray
    class_intervals: tuple[ClassInterval, ...]

    @classmethod
    def of(cls, class_name: str, class_intervals: Iterable[ClassInterval]) -> 'TemporalAnnotation':
        """Build an annotation from intervals."""
        given = tuple(class_intervals)
        pairs = sorted((start, end) for _, start, end in given)
        return cls(class_name, np.array(pairs, dtype=np.int64).reshape(-1, 2), given)


def _class_of(name: str) -> str:
    """XD-Violence's classes in a name: ``B1-B2`` in ``.._label_B1-B2-0``, ``A`` (normal) in ``.._label_A``."""
    match = _XD_LABEL.search(name)
    if match is None:
        raise ValueError('does not name a class, neither after the name nor as _label_... in it')
    return '-'.join(part for part in match[1].split('-') if part != '0') or 'A'


def _parse_line(line: str) -> tuple[str, str, list[ClassInterval]]:
    file_name = _FILE_NAME.match(line)
    name, rest = (file_name[1], line[file_name.end() :]) if file_name else (*line.split(maxsplit=1), '')[:2]
    name = video_id_of(name)
    # Words before numbers are the class of these pairs of numbers.
    parts: list[tuple[str, list[int]]] = [('', [])]
    for token in rest.split():
        before, numbers = parts[-1]
        if _INTEGER.fullmatch(token):
            if len(token) > _MOST_DIGITS:
                raise ValueError(f'has a frame number of {len(token)} digits: {token[:20]}')
            numbers.append(int(token))
        elif before and not numbers:
            parts[-1] = f'{before} {token}', numbers
        else:
            parts.append((token, []))
    if len(parts) > 1 and not parts[0][1]:
        del parts[0]
    for _, numbers in parts:
        if len(numbers) % 2:
            raise ValueError(f'has {len(numbers)} frame numbers; they come in pairs of start and end')
    if len(parts) > 1 and not all(word and numbers for word, numbers in parts):
        raise ValueError('is not of the form: name class start end [class start end ...]')
    first = parts[0][0]
    # The class of an XD-Violence video is in its name.
    class_name = first if first and not _XD_LABEL.search(name) else _class_of(name)
    pairs = []
    for word, numbers in parts:
        for start, end in zip(numbers[::2], numbers[1::2], strict=True):
            if start == end == -1:
                continue
            if start < 0 or end < 0:
                raise ValueError(f'has a negative frame number in {start} {end}; no interval is written -1 -1')
            if start > end:
                raise ValueError(f'has an interval that ends before it starts: {start} {end}')
            pairs.append(ClassInterval(word or class_name, start, end))
    return name, class_name, pairs


def is_read_as(line: str, name: str, class_intervals: Sequence[ClassInterval]) -> bool:
    """Whether a line of a temporal annotation is read as these intervals of this video."""
    if len(line.splitlines()) != 1:
        return False
    try:
        video_id, _, found = _parse_line(line)
    except ValueError:
        return False
    return video_id == video_id_of(name) and found == [
        one._replace(class_name=' '.join(one.class_name.split())) for one in class_intervals
    ]


def read_temporal_annotations(path: str | Path, interval_mode: str = 'half_open') -> dict[str, TemporalAnnotation]:
    """Read a temporal annotation file in UCF-Crime's or XD-Violence's format.

    Args:
        path (str | Path): The text file, UTF-8.
        interval_mode (str): Meaning of the numbers in the file. ``half_open``: 0-based frames ``start .. end - 1``
            (reproduces the 84,128 anomalous frames of UCF-Crime's public test arrays); ``inclusive``: 0-based,
            ``start .. end``; ``matlab``: 1-based, ``start .. end``.

    Returns:
        dict[str, TemporalAnnotation]: By video id (no folder, no ``.mp4``), in the order of the file. Intervals are not
            clipped to the video's length; :func:`intervals_to_mask` does that.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: ``interval_mode`` is unknown.
        DataError: Lines cannot be parsed (all are counted, the first is shown), a video is named twice, or there is no
            video.
    """
    if interval_mode not in INTERVAL_MODES:
        raise ConfigError(f'interval_mode is {interval_mode!r}; choose one of {", ".join(INTERVAL_MODES)}')
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f'There is no temporal annotation file {path}. Check the path (in configs: data_root, temporal_ann_file).'
        )
    first_shift, last_shift = {'half_open': (0, 0), 'inclusive': (0, 1), 'matlab': (-1, 0)}[interval_mode]

    annotations: dict[str, TemporalAnnotation] = {}
    faults: list[str] = []
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, class_name, pairs = _parse_line(line)
            if name in annotations:
                raise ValueError(f'names {name} a second time')
            shifted = [ClassInterval(word, start + first_shift, end + last_shift) for word, start, end in pairs]
            empty = [(start, end) for _, start, end in shifted if start == end]
            if empty:
                raise ValueError(f'has an interval of no frame: {empty[0][0]} {empty[0][1]} (interval_mode half_open)')
        except ValueError as error:
            faults.append(f'line {number} {error}')
            continue
        annotations[name] = TemporalAnnotation.of(class_name, shifted)
    if not annotations and not faults:
        raise DataError(f'{path} is empty: it annotates no video')
    if faults:
        raise DataError(
            f'{path}: {len(faults)} of {len(lines)} lines cannot be used. The first: {faults[0]}. '
            'A line looks like: Abuse028_x264  Abuse  165  240  -1  -1'
        )
    return annotations


def intervals_to_mask(intervals: np.ndarray, num_frames: int) -> np.ndarray:
    """Mask of the frames in any of the intervals.

    Args:
        intervals (np.ndarray): 0-based half-open ``[start, end)`` frames, integer, shape (K, 2); parts outside the
            video are cut off, overlaps count once.
        num_frames (int): Frames of the video, >= 0.

    Returns:
        np.ndarray: bool, shape (num_frames,).

    Raises:
        DataError: ``intervals`` is not of shape (K, 2), or ``num_frames`` is negative.
    """
    intervals = np.asarray(intervals, dtype=np.int64)
    if intervals.size == 0:
        intervals = intervals.reshape(0, 2)
    if intervals.ndim != 2 or intervals.shape[1] != 2:
        raise DataError(f'Intervals have the shape {intervals.shape}; expected (K, 2) of start and end frames')
    if num_frames < 0:
        raise DataError(f'num_frames is {num_frames}; a video has 0 frames or more')
    mask = np.zeros(num_frames, dtype=bool)
    for start, end in intervals.clip(0, num_frames):
        mask[start:end] = True
    return mask
