"""Converting Label Studio's video annotations: boxes to regions, spans of time to a temporal annotation."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np

from vadlab.utils.errors import ConfigError, DataError, naming
from vadlab.utils.json_file import read_json, shape_fault

from ..temporal_truth import outside
from ..video_names import VIDEO_ENDINGS
from .imported_annotations import ImportedAnnotations, ImportedVideo, gather, is_normal
from .keyframes import merge_intervals, shown_spans
from .temporal_annotations import ClassInterval

#: Name in a task's data for the video that was scored, of which Label Studio shows a copy.
SOURCE_KEY = 'vadlab_video'
#: Name in a task's data for the number of frames of that video.
FRAMES_KEY = 'vadlab_frames'
_UPLOAD_PREFIX = re.compile(r'^[0-9a-f]{8}-')  # prefix that Label Studio adds to the names of uploaded files
_BOX = ('x', 'y', 'width', 'height')

_FRAME = {'frame': int, 'enabled?': bool, 'rotation?': float}
_VALUES = {
    'videorectangle': {'framesCount?': float, 'labels?': [str], 'sequence?': [_FRAME]},
    'timelinelabels': {
        'timelinelabels?': [str],
        'ranges?': [{'start': int, 'end': int}],
        'framesCount?': float,
        'sequence?': [_FRAME],
    },
    'choices': {'choices?': [str]},
    'textarea': {'text?': (str, [str])},
    'labels': {'labels?': [str]},
}
_TASK = {
    'data': {str: Any},
    'annotations': [
        {
            'was_cancelled?': bool,
            'updated_at?': str,
            'id?': int,
            'result?': [
                {'type': str, 'id?': str, 'from_name?': str, 'value?': {str: Any}, 'meta?': {'text?': (str, [str])}}
            ],
        }
    ],
}


def convert_label_studio(
    path: str | os.PathLike[str],
    default_caption: str | None = None,
    true_frames: Callable[[str], int] | None = None,
    class_field: str | None = None,
) -> ImportedAnnotations:
    """Read a Label Studio export ("JSON", not "JSON-MIN") of videos.

    Boxes of ``VideoRectangle`` become regions. Label Studio counts frames from 1 and measures boxes in percent;
    ``enabled`` has the same meaning. A region's caption is its per-region text, else its note (``meta.text``), else its
    labels. The video's caption is the text that belongs to no region.

    Each range of ``TimelineLabels``, and each ``VideoRectangle`` track without boxes, becomes an interval in frames,
    whose class is its label. The video's class is the choice (``Choices``) of the field ``class_field``, or of the only
    field about the video. Classes and intervals form a temporal annotation. It then also has the videos with boxes:
    their intervals are the frames in which a box is shown. A name that begins with *normal* is the normal class.

    Label Studio derives frame numbers from a frame rate, which a project may have left at its default. If
    ``true_frames`` is given and differs from the length in the export, frames are rescaled. Tasks that VADLab wrote
    have the video's number of frames: another length there is an error, since predictions and corrections would count
    differently.

    Args:
        path: The export.
        default_caption: Caption of videos without one; None raises an error for them.
        true_frames: Returns the frame count of a video by file name.
        class_field: Name of the ``Choices`` tag (``from_name``) whose choice is the video's class; empty for none.

    Returns:
        Records, temporal annotation and counts. Every kind of skipped result is counted.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: No choice in the export has the field ``class_field``.
        DataError: It is not such an export, two tasks have the same video, captions are missing, spans are outside
            their video, or a video has an anomalous class but no span.
    """
    tasks = read_json(path)
    is_export = isinstance(tasks, list) and all(
        isinstance(task, dict) and isinstance(task.get('annotations'), list) and isinstance(task.get('data'), dict)
        for task in tasks
    )
    if not is_export or not tasks:
        raise DataError(
            f'{os.fspath(path)}: not a Label Studio export of tasks with data and annotations. Export the project as '
            '"JSON", not as "JSON-MIN"'
        )
    if fault := _fault(tasks):
        raise DataError(f'{os.fspath(path)}: {fault}, as exports have it. Export the project again as "JSON"')
    counts: Counter[str] = Counter()
    newest: list[_Newest] = []
    for task in tasks:
        annotations = [a for a in task['annotations'] if not a.get('was_cancelled')]
        for kind in ('drafts', 'predictions'):
            counts[f'tasks with {kind}, which were not read'] += bool(task.get(kind))
        if not annotations:
            counts['tasks without an annotation left out'] += 1
            continue
        counts['tasks with several annotations, the newest taken'] += len(annotations) > 1
        last = max(annotations, key=lambda a: (a.get('updated_at') or '', a.get('id') or 0))
        with naming(path):
            results = _with_boxes(last.get('result') or [], counts)
            newest.append(_Newest(_file_name(task), results, task['data'].get(FRAMES_KEY)))
    if not newest:
        raise DataError(f'{os.fspath(path)}: not one of {len(tasks)} tasks has an annotation that was submitted')
    twice = [name for name, count in Counter(task.name for task in newest).items() if count > 1]
    if twice:
        raise DataError(
            f'{os.fspath(path)}: several tasks are of one video ({", ".join(twice[:5])}). Videos are identified by '
            'their file names: rename one, or remove a task'
        )
    class_field = _choose_class_field([task.results for task in newest], class_field, counts)
    with naming(path):
        found = [
            _convert_task(task.name, task.results, _checked(task, true_frames), class_field, counts) for task in newest
        ]
    return gather(found, os.fspath(path), counts, default_caption)


class _Newest(NamedTuple):
    """Video, results of the newest annotation, and number of frames if VADLab wrote the task."""

    name: str
    results: list[dict]
    frames: int | None


def _checked(task: _Newest, true_frames: Callable[[str], int] | None) -> Callable[[str], int] | None:
    """``true_frames``, or for a task of VADLab its own number of frames, after a check."""
    if not isinstance(task.frames, int):
        return true_frames
    if true_frames is not None and (found := true_frames(task.name)) != task.frames:
        raise DataError(f'{task.name} has {found} frames, but had {task.frames} when it was scored and exported')
    for result in task.results:
        counted = (result.get('value') or {}).get('framesCount')
        # A rounded duration makes framesCount wrong by at most one.
        if counted and abs(counted - task.frames) > 1:
            raise DataError(
                f'{task.name}: Label Studio counted {counted:g} frames, but the video has {task.frames}: its project '
                'has another frame rate, so predictions and corrections count differently. Make the project with the '
                'labelling interface that was exported with the tasks (frameRate="$fps")'
            )
    return lambda name: int(task.frames or 0)


def _fault(tasks: list[dict]) -> str | None:
    """The first difference between an export and Label Studio's format; None if there is none."""
    if fault := shape_fault(tasks, [_TASK], 'tasks'):
        return fault
    for i, task in enumerate(tasks):
        for j, annotation in enumerate(task['annotations']):
            for k, result in enumerate(annotation.get('result') or []):
                place = f'tasks[{i}].annotations[{j}].result[{k}]'
                kind, value = result['type'], result.get('value') or {}
                if fault := shape_fault(value, _VALUES.get(kind, Any), f'{place}.value'):
                    return fault
                lacking = [key for key in ('id', 'value') if result.get(key) is None]
                if kind == 'videorectangle' and lacking:
                    return f'{place} has no {lacking[0]!r}'
                steps = (value.get('sequence') or []) if kind in ('videorectangle', 'timelinelabels') else []
                has_boxes = any(name in step for step in steps for name in _BOX)
                for step in steps:
                    if step['frame'] < 1:
                        return f'{place}.value.sequence has the frame {step["frame"]}; Label Studio counts from 1'
                for step in steps if has_boxes else []:
                    if fault := shape_fault(step, dict.fromkeys(_BOX, float), f'{place}.value.sequence'):
                        return fault
                for span in (value.get('ranges') or []) if kind == 'timelinelabels' else []:
                    if span['end'] < span['start']:
                        return f'{place} ends before it starts: {span["start"]} to {span["end"]}'
    return None


def _with_boxes(results: list[dict], counts: Counter[str]) -> list[dict]:
    """The results, in which each box is a ``videorectangle`` once.

    Label Studio writes a box that was drawn with a label of the timeline as ``timelinelabels`` with keyframes and
    without a range. If the label is one of the boxes, too, it writes both.
    """
    boxes = {r.get('id') for r in results if r['type'] == 'videorectangle'}
    found: list[dict] = []
    for result in results:
        value = result.get('value') or {}
        if result['type'] == 'timelinelabels' and value.get('sequence') and not value.get('ranges'):
            if result.get('id') in boxes:
                continue
            counts['boxes that were drawn with a label of the timeline'] += 1
            result = {**result, 'type': 'videorectangle', 'value': {**value, 'labels': value.get('timelinelabels')}}
            result.setdefault('id', f'box {len(found)}')
        found.append(result)
    return found


def _choose_class_field(exported: Sequence[list[dict]], wanted: str | None, counts: Counter[str]) -> str:
    """The field whose choices are a video's class: the wanted one, or the only one."""
    fields = Counter(str(r.get('from_name')) for results in exported for r in _video_choices(results))
    if wanted and wanted not in fields:
        raise ConfigError(f'No choice about a video is of the field {wanted!r}. Fields: {", ".join(fields) or "none"}')
    chosen = next(iter(fields)) if wanted is None and len(fields) == 1 else wanted or ''
    for name, count in fields.items():
        if name != chosen:
            counts[f'choices of the field {name} were not read (--class-field {name} takes them as the class)'] += count
    if chosen:
        counts[f"choices of the field {chosen} were taken as the video's class"] += fields[chosen]
    return chosen


def _video_choices(results: list[dict]) -> list[dict]:
    """Choices that belong to no region."""
    regions = {r.get('id') for r in results if r.get('type') in ('videorectangle', 'timelinelabels')}
    return [r for r in results if r.get('type') == 'choices' and r.get('id') not in regions]


def _file_name(task: dict[str, Any]) -> str:
    if isinstance(known := task['data'].get(SOURCE_KEY), str) and known:
        return known
    videos = [v for v in task['data'].values() if isinstance(v, str) and _url_path(v).lower().endswith(VIDEO_ENDINGS)]
    if not videos:
        raise DataError(
            f'Label Studio task {task.get("id")}: its data does not name a video file. Is it a project of videos?'
        )
    preferred = task['data'].get('video')
    path = _url_path(preferred if preferred in videos else videos[0]).replace('\\', '/')
    name = PurePosixPath(path).name
    return _UPLOAD_PREFIX.sub('', name) if '/data/upload/' in path else name


def _url_path(url: str) -> str:
    parsed = urlparse(url)
    local = parse_qs(parsed.query).get('d')  # /data/local-files/?d=folder/name.mp4
    return local[0] if local and 'local-files' in parsed.path else unquote(parsed.path)


def _convert_task(
    name: str,
    results: list[dict],
    true_frames: Callable[[str], int] | None,
    class_field: str,
    counts: Counter[str],
) -> ImportedVideo:
    texts: dict[str, str] = {}
    tracks: dict[str, dict] = {}
    spans: list[ClassInterval] = []
    class_name = ''
    labels = {r.get('id'): (r.get('value') or {}).get('labels') for r in results if r.get('type') == 'labels'}
    lengths = [(r.get('value') or {}).get('framesCount') for r in results if r.get('type') == 'videorectangle']
    scale, total = _scale(name, next(filter(None, lengths), None), true_frames)
    about_video = _video_choices(results)
    for result in results:
        value = result.get('value') or {}
        kind = result.get('type')
        if kind == 'videorectangle':
            tracks[result['id']] = result
        elif kind == 'timelinelabels':
            named = value.get('timelinelabels') or []
            for span in value.get('ranges') or []:
                start, end = round((span['start'] - 1) * scale), round(span['end'] * scale)
                spans += [ClassInterval(_one_word(text), start, max(end, start + 1)) for text in named]
            if not (named and value.get('ranges')):
                counts['timelinelabels without a label or a range were not read'] += 1
        elif kind == 'choices' and result in about_video:
            if result.get('from_name') == class_field:
                class_name = _one_class(name, class_name, value.get('choices') or [])
        elif kind == 'textarea':
            text = value.get('text') or ''
            text = text if isinstance(text, str) else ' '.join(text)
            texts[result.get('id', '')] = text.strip()
        elif kind != 'labels' or result.get('id') not in {r.get('id') for r in results if r is not result}:
            counts[f'results of type {kind} were not read'] += 1
    regions = []
    for key, track in tracks.items():
        value = track['value']
        named = value.get('labels') or labels.get(key) or []
        sequence = value.get('sequence') or []
        if sequence and not any(side in step for step in sequence for side in _BOX):
            spans += [
                ClassInterval(_one_word(text), *pair) for text in named for pair in _track_spans(sequence, scale, total)
            ]
            counts[
                'tracks without boxes were read as spans of time'
                if named
                else 'tracks without boxes and labels were not read'
            ] += 1
            continue
        note = (track.get('meta') or {}).get('text') or []
        note = note if isinstance(note, str) else ' '.join(note)
        caption = texts.get(key) or note.strip() or ', '.join(named)
        converted = _convert_track(name, value, true_frames, counts)
        counts['tracks without a keyframe left out'] += not converted
        regions += [{'caption': caption, **region} for region in converted]
    wrong = outside([span[1:] for span in spans], total) if total else []
    if wrong:
        raise DataError(
            f'{name}: the span from frame {wrong[0][0] + 1} to {wrong[0][1]} lies outside the video of {total} frames. '
            "Was the frame rate of Label Studio's project the video's?"
        )
    normal = [span for span in spans if is_normal(span.class_name)]
    spans = [span for span in dict.fromkeys(spans) if span not in normal]
    if normal:
        counts['spans of normal frames left out: a temporal annotation lists anomalous ones'] += len(normal)
        class_name = class_name or ('' if spans else normal[0].class_name)
    caption = ' '.join(text for key, text in texts.items() if key not in tracks)
    counts['videos'] += 1
    counts['regions'] += len(regions)
    counts['spans of time'] += len(spans)
    return ImportedVideo({'f_path': name, 'global_caption': caption, 'bbox_info': regions}, class_name, spans)


def _one_word(text: str) -> str:
    """Format a label for a line of a temporal annotation, in which numbers are frames."""
    text = ' '.join(text.split())
    if re.search(r'(^| )[+-]?\d+( |$)', text):
        raise DataError(
            f'The label {text!r} is or holds a number, which a temporal annotation takes for a frame. Rename it'
        )
    return text


def _one_class(name: str, known: str, choices: list[str]) -> str:
    names = list(dict.fromkeys(filter(None, [known, *map(_one_word, choices)])))
    if len(names) > 1:
        raise DataError(f'{name} has several classes ({", ".join(names)}). Mark the frames of each by TimelineLabels')
    return names[0] if names else ''


def _track_spans(sequence: list[dict], scale: float, total: int | None) -> list[tuple[int, int]]:
    """Half-open frame intervals in which a track without boxes is enabled."""
    box = [0.0, 0.0, 1.0, 1.0]
    keyframes = [
        {'frame': round((step['frame'] - 1) * scale), 'bbox': box, 'enabled': bool(step.get('enabled', True))}
        for step in sequence
    ]
    keyframes.sort(key=lambda keyframe: keyframe['frame'])
    alone = [[keyframe['frame'], keyframe['frame'] + 1] for keyframe in _alone(keyframes)]
    region = {'start_frame': 0, 'end_frame': max((total or 0) - 1, keyframes[-1]['frame']), 'keyframes': keyframes}
    spans = merge_intervals(np.concatenate([shown_spans(region), np.array(alone, np.int64).reshape(-1, 2)]))
    return [(start, end) for start, end in spans.tolist()]


def _scale(name: str, total: int | None, true_frames: Callable[[str], int] | None) -> tuple[float, int | None]:
    """Factor for frame numbers, and the video's number of frames, if known."""
    if true_frames is None:
        return 1.0, total
    true_total = true_frames(name)
    # Rounding of the duration causes an error of at most one.
    return (true_total / total if total and abs(true_total - total) > 1 else 1.0), true_total


def _convert_track(
    name: str, value: dict, true_frames: Callable[[str], int] | None, counts: Counter[str]
) -> list[dict[str, Any]]:
    """Regions of a track: one, and one for each frame of its own that it is shown in."""
    sequence = value.get('sequence') or []
    if not sequence:
        return []
    scale, total = _scale(name, value.get('framesCount'), true_frames)
    counts['tracks rescaled to the true number of frames'] += scale != 1
    # A rounded duration makes framesCount wrong by at most one.
    late = [step['frame'] for step in sequence if total and round((step['frame'] - 1) * scale) > total]
    if late:
        raise DataError(
            f'{name}: a box has a keyframe at frame {late[0]}, but the video has {int(total or 0)} frames. '
            "Was the frame rate of Label Studio's project the video's?"
        )
    keyframes = []
    for step in sequence:
        counts['boxes whose rotation is ignored'] += bool(step.get('rotation'))
        x, y, width, height = (float(step[k]) / 100 for k in ('x', 'y', 'width', 'height'))
        keyframes.append(
            {
                'frame': round((step['frame'] - 1) * scale),
                'bbox': [round(v, 6) for v in (x, y, x + width, y + height)],
                'enabled': bool(step.get('enabled', True)),
            }
        )
    keyframes.sort(key=lambda keyframe: keyframe['frame'])
    alone = _alone(keyframes)
    regions = [
        {'start_frame': k['frame'], 'end_frame': k['frame'], 'keyframes': [{**k, 'enabled': True}]} for k in alone
    ]
    if keyframes := [keyframe for keyframe in keyframes if keyframe not in alone]:
        last = keyframes[-1]
        # A track without an end continues to the end of the video.
        end = max(int(total) - 1, last['frame']) if last['enabled'] and total else last['frame']
        regions.insert(0, {'start_frame': keyframes[0]['frame'], 'end_frame': end, 'keyframes': keyframes})
    return regions


def _alone(keyframes: list[dict]) -> list[dict]:
    """Keyframes that are not enabled and do not end a span. Label Studio shows each of them, in its frame only."""
    was_enabled = [False, *(keyframe['enabled'] for keyframe in keyframes)]
    return [
        keyframe
        for keyframe, before in zip(keyframes, was_enabled, strict=False)
        if not keyframe['enabled'] and not before
    ]
