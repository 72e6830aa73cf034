"""Checks of temporal annotations against a data set's classes, videos and lengths.

Training, testing, ``tools/verify.py`` and ``tools/eval_scores.py`` use this module, so they refuse the same files.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..utils.suggest import nearest
from .formats.feature_labels import VideoLabel, parse_label
from .formats.temporal_annotations import TemporalAnnotation
from .problem_list import ProblemList

#: Frames by which an interval may end after its video. Public frame counts are rounded down to whole snippets, features
#: may have one snippet less, and UCF-Crime's own list ends up to 16 frames later than that (17 with the last frame).
END_TOLERANCE = 33


class TemporalTruth(NamedTuple):
    """Ground truth of a video after its annotation was checked.

    Attributes:
        label (VideoLabel): Its class or classes.
        class_intervals (list[tuple[int, int, int]]): Class index, first frame, frame after the last, sorted by start.
            The index is -1 if the video has several classes and the annotation names none for the interval.
    """

    label: VideoLabel
    class_intervals: list[tuple[int, int, int]]


def match_truth(
    annotations: Mapping[str, TemporalAnnotation],
    labels: Mapping[str, VideoLabel | None],
    classes: Sequence[str],
    num_frames: Mapping[str, int],
    source: str,
    problems: ProblemList,
) -> dict[str, TemporalTruth]:
    """Check temporal annotations against the labels, classes and lengths of videos.

    Args:
        annotations (Mapping[str, TemporalAnnotation]): By video id.
        labels (Mapping[str, VideoLabel | None]): Label of each video in the data set's list; None if only the
            annotation has its class.
        classes (Sequence[str]): Class names, Normal first; not case-sensitive.
        num_frames (Mapping[str, int]): Frames of the videos, as far as known.
        source (str): The annotation's name, for messages.
        problems (ProblemList): Collects unknown classes, classes that contradict the list, anomalous videos without an
            interval, normal ones with an interval, intervals of the normal class or outside their video, and names that
            differ from a video's only in capital letters.

    Returns:
        dict[str, TemporalTruth]: Ground truth per video; a video without annotation and label is normal.
    """
    known = ', '.join(classes)
    normal = VideoLabel(classes[0], 0, (0,))
    truth = {}
    for name, given in labels.items():
        annotation = annotations.get(name, TemporalAnnotation.of('', ()))
        label = given or normal

        texts = dict.fromkeys(
            text for text in (annotation.class_name, *(i[0] for i in annotation.class_intervals)) if text
        )
        meant: dict[str, VideoLabel] = {}
        for text in texts:
            try:
                meant[text] = parse_label(text, classes)
            except ValueError:
                what = f'class names in {source} are not among {known}'
                problems.note(what, f'{name}: {text!r}. {nearest(text, list(classes))}')
        listed = meant.get(annotation.class_name)
        if listed is not None and given is None:
            label = listed
        elif listed and given and given.class_labels and not set(listed.class_labels) & set(given.class_labels):
            text = f'{name}: {annotation.class_name}, not {given.class_name}'
            problems.note(f'videos have another class in {source}', text)
        found = []
        for text, start, end in annotation.class_intervals:
            several = meant.get(text, label).class_labels
            found.append((several[0] if len(several) == 1 else -1, start, end))
            if label.label and several == (0,):  # its frames would count as anomalous
                problems.note(f'intervals in {source} are of the normal class', f'{name}: {text} {start} {end}')
        if label.label and not found:
            problems.note(f'anomalous videos have no interval in {source}', name)
        if not label.label and found:
            problems.note(f'normal videos have intervals in {source}', name)
        if name in num_frames:
            for start, end in outside(annotation.intervals.tolist(), num_frames[name]):
                text = f'{name}: {start} to {end} of {num_frames[name]} frames'
                problems.note(f'intervals in {source} lie outside their video', text)
        truth[name] = TemporalTruth(label, sorted(found, key=lambda interval: interval[1:]))
    by_lower = {name.lower(): name for name in labels}
    for name in annotations:
        other = by_lower.get(name.lower(), name)
        if other != name and other not in annotations:
            problems.note(f'names in {source} differ from the video in capital letters only', f'{name}, not {other}')
    return truth


def outside(intervals: Iterable[Sequence[int]], num_frames: int) -> list[tuple[int, int]]:
    """Half-open intervals that begin after a video's end, or end more than :data:`END_TOLERANCE` after it.

    >>> outside([(0, 133), (90, 134), (100, 101)], 100)
    [(90, 134), (100, 101)]
    """
    return [(start, end) for start, end in intervals if start >= num_frames or end > num_frames + END_TOLERANCE]


def outside_of(sample: Mapping[str, Any], num_frames: int) -> str:
    """Problem of a sample's anomalous intervals, given the true length of its video; empty if there is none.

    Args:
        sample (Mapping[str, Any]): Has ``video_id``, ``intervals`` and, if a temporal annotation provides these, its
            name as ``intervals_from``. Without it, they are the frames in which regions are shown, and an ``end_frame``
            may be anywhere after the end.
        num_frames (int): Frames of the video.
    """
    intervals = np.asarray(sample.get('intervals', ())).reshape(-1, 2).tolist()
    source = sample.get('intervals_from')
    wrong = outside(intervals, num_frames) if source else [(s, e) for s, e in intervals if s >= num_frames]
    if not wrong or (not source and len(wrong) < len(intervals)):
        return ''
    return (
        f'{sample["video_id"]}: {len(wrong)} anomalous intervals in {source or "its regions"} lie outside the video '
        f'(first: {wrong[0][0]} to {wrong[0][1]} of {num_frames} frames). Check the annotation: frame numbers of '
        'another frame rate, or of another video?'
    )


class _HasClassIntervals(Protocol):
    @property
    def class_intervals(self) -> list[tuple[int, int, int]]: ...


def without_class(truth: Mapping[str, _HasClassIntervals]) -> list[str]:
    """Videos with an interval of unknown class."""
    return [name for name, video in truth.items() if any(index < 0 for index, _, _ in video.class_intervals)]


def describe_without_class(names: Sequence[str], total: int, classes: Sequence[str]) -> str:
    """The message for videos whose intervals cannot be compared with class probabilities, and how to fix it."""
    return (
        f'{len(names)} of {total} videos have intervals whose class among {", ".join(classes)} is not known (first: '
        f"{names[0]}). For XD-Violence's videos of several classes give the annotation that names a class before each "
        'interval (annotations_multiclasses.txt)'
    )
