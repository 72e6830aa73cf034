"""Converting the marks of a report's reviewer to a temporal annotation."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, shape_fault

from .imported_annotations import ImportedAnnotations, is_normal
from .temporal_annotations import ClassInterval, TemporalAnnotation

_MARK = {'kind': str, 'start': int, 'end': int, 'label?': str}
_SHAPE = {'format': str, 'version': int, 'videos': [{'video': str, 'reviewed': bool, 'marks': [_MARK]}]}


def convert_marks(paths: Sequence[str | os.PathLike[str]], default_class: str | None = None) -> ImportedAnnotations:
    """Read marks that the report's pages exported as JSON.

    Correct and missed events of a reviewed video become its anomalous frames; false alarms do not. A reviewed video
    without such events is normal. Videos that are not marked as reviewed are skipped and counted.

    Args:
        paths: Exports of the list of videos, or of single pages. Of a video in several, the last one counts.
        default_class: Class of missed events and of events without a class; None raises an error for them.

    Returns:
        ImportedAnnotations: Temporal annotation and counts; no records.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such an export, no video is reviewed, or an event has no class.
    """
    result = ImportedAnnotations(counts=Counter())
    counts, skipped = result.counts, set()
    for path in [os.fspath(one) for one in paths]:
        content = read_json(path)
        fault = shape_fault(content, _SHAPE) or ('' if content['format'] == 'vadlab marks' else 'another format')
        if fault:
            raise DataError(f'{path} is not an export of marks: {fault}. Export JSON on a page of the report')
        for video in content['videos']:
            name = video['video']
            if not video['reviewed']:
                skipped.add(name)
                continue
            if ' ' in name and not PurePosixPath(name).suffix:
                raise DataError(f'{path}: {name!r} has spaces and no file extension. Rename the folder')
            spans = []
            for mark in video['marks']:
                if mark['kind'] == 'false alarm':
                    counts['events were false alarms'] += 1
                    continue
                if mark['kind'] not in ('correct', 'missed') or not 0 <= mark['start'] < mark['end']:
                    raise DataError(f'{path}: {name}: the mark {mark} is not one of a report')
                label = mark.get('label') or default_class
                if not label:
                    raise DataError(
                        f'{path}: {name}: the event from frame {mark["start"]} to {mark["end"]} has no class. '
                        'Give one for such events: --default-class NAME'
                    )
                if is_normal(label):
                    raise DataError(f'{path}: {name}: an anomalous event has the class {label!r}')
                spans.append(ClassInterval(label, mark['start'], mark['end']))
                counts[f'events were {mark["kind"]}'] += 1
            result.temporal[name] = TemporalAnnotation.of(spans[0].class_name if spans else 'Normal', spans)
    if not result.temporal:
        raise DataError(f'{os.fspath(paths[0])}: no video is marked as reviewed, of {len(skipped)}')
    counts['videos without the mark "reviewed" were skipped'] += len(skipped - result.temporal.keys())
    return result
