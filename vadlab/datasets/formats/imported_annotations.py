"""Annotations from other tools: records of regions, and a temporal annotation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from vadlab.utils.errors import DataError

from .class_names import class_from_path, equal_but_for_case
from .keyframes import merge_intervals, shown_spans
from .temporal_annotations import ClassInterval, TemporalAnnotation, is_read_as


@dataclass
class ImportedAnnotations:
    """Content of another tool's export.

    Attributes:
        records (list[dict]): Records for ``UCFCrimeRegions``.
        temporal (dict[str, TemporalAnnotation]): By file name: videos with a class or with spans of time. Empty if the
            export has neither.
        counts (Counter[str]): Counts of conversions and of skipped results, for the report.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    temporal: dict[str, TemporalAnnotation] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def temporal_lines(self) -> str:
        """The temporal annotation as text in UCF-Crime's format, half-open frames from 0.

        Raises:
            DataError: A line would be read as something else, such as of a class with a number as a word.
        """
        lines = []
        for name, annotation in self.temporal.items():
            spans = [part for text, start, end in annotation.class_intervals for part in (text, str(start), str(end))]
            lines.append('  '.join([name, *(spans or [annotation.class_name, '-1', '-1'])]))
            if not is_read_as(lines[-1], name, annotation.class_intervals):
                raise DataError(
                    f'The temporal annotation of {name!r} cannot be written, since its line would be read as something '
                    f'else: {lines[-1]!r:.200}. A class may have no word that is a number, and a name no line break'
                )
        return ''.join(f'{line}\n' for line in lines)


class ImportedVideo(NamedTuple):
    """A video of an export: its record, its class (empty if unknown), and its spans of time."""

    record: dict[str, Any]
    class_name: str
    spans: list[ClassInterval]


def is_normal(class_name: str) -> bool:
    """Whether a class is the normal one, by its name."""
    return class_name.lower().startswith('normal')


def gather(
    videos: Sequence[ImportedVideo], source: str, counts: Counter[str], default_caption: str | None
) -> ImportedAnnotations:
    """Records and temporal annotation of all videos.

    Args:
        videos (Sequence[ImportedVideo]): The videos of an export, with different names.
        source (str): The export, for messages.
        counts (Counter[str]): Counts so far.
        default_caption (str | None): Caption of videos without one; None raises an error for them.

    Raises:
        DataError: Captions are missing, classes differ in capital letters only, or a video has an anomalous class but
            no span, or is normal and has one.
    """
    result = ImportedAnnotations(counts=counts)
    without_caption = []
    for video in videos:
        if not video.record['global_caption']:
            if default_caption is None:
                without_caption.append(video.record['f_path'])
            video.record['global_caption'] = default_caption
        result.records.append(video.record)
    if without_caption:
        raise DataError(
            f'{source}: {len(without_caption)} videos have no caption (first: {", ".join(without_caption[:5])}). '
            'Add a text to them in the annotation tool, or give a default caption'
        )
    if any(video.class_name or video.spans for video in videos):
        result.temporal = _temporal(videos, source, counts)
    return result


def _temporal(videos: Sequence[ImportedVideo], source: str, counts: Counter[str]) -> dict[str, TemporalAnnotation]:
    """Temporal annotations of all videos with a class or an interval."""
    names = [i.class_name for video in videos for i in video.spans] + [video.class_name for video in videos]
    if same := equal_but_for_case(filter(None, names)):
        raise DataError(
            f'{source}: the classes {" and ".join(same[0])} differ in capital letters only. Write them alike'
        )
    annotations: dict[str, TemporalAnnotation] = {}
    unknown, untimed = [], []
    for video in videos:
        name, spans = video.record['f_path'], video.spans
        by_file = class_from_path(name)
        class_name = video.class_name or (spans[0].class_name if spans else by_file) or ''
        normal = is_normal(class_name)
        shown = [shown_spans(region) for region in video.record['bbox_info']]
        if not spans and not normal and shown:
            merged = merge_intervals(np.concatenate(shown)).tolist()
            spans = [ClassInterval(class_name, start, end) for start, end in merged]
        if not class_name:
            if shown:
                unknown.append(name)
            else:
                counts['videos without a class, a span of time or a box: left out of the temporal annotation'] += 1
            continue
        if not spans and not normal and not video.class_name:
            counts[
                'videos without a span of time whose file name has a class: left out of the temporal annotation'
            ] += 1
            continue
        if not spans and not normal:
            untimed.append(f'{name} ({class_name})')
        if spans and normal:
            raise DataError(f'{source}: {name} is of the class {class_name}, and has spans of time')
        annotations[name] = TemporalAnnotation.of(class_name, spans)
    if untimed:
        raise DataError(
            f'{source}: {len(untimed)} videos have a class, but neither a span of time nor a box (first: '
            f'{", ".join(untimed[:3])}): they would become normal videos. Mark the frames, or read no class '
            "(--class-field '')"
        )
    counts['videos with boxes and no class: add their lines to the temporal annotation'] += len(unknown)
    return annotations
