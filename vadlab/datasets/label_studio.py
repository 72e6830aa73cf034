"""Label Studio's video rectangles as region annotations."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from ..utils.errors import DataError, MissingFileError

_UPLOAD_PREFIX = re.compile(r'^[0-9a-f]{8}-')  # what Label Studio puts before an uploaded file's name


def convert_label_studio(
    path: str | os.PathLike[str],
    default_caption: str | None = None,
    true_frames: Callable[[str], int] | None = None,
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Read a Label Studio export ("JSON", not "JSON-MIN") of a project with a ``VideoRectangle`` tag.

    Label Studio counts frames from 1 and measures boxes in percent; ``enabled`` means there what it means here. A
    region's caption is its per-region text, else its note (``meta.text``), else its labels. The video's caption is
    the text that belongs to no region.

    Label Studio derives frame numbers from a frame rate that a project may have left at its default. Where
    ``true_frames`` is given and the video has another length than Label Studio thought, frames are rescaled.

    Args:
        path: The export.
        default_caption: Caption of videos that have none; None makes that an error.
        true_frames: Gives the frame count of a video by file name.

    Returns:
        Records as ``UCFCrimeRegions`` reads them; and counts of what was done that one should know.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is no such export, or captions are missing.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no file {os.fspath(path)}')
    try:
        tasks = json.loads(Path(path).read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f'{os.fspath(path)}: not a JSON file ({error})') from error
    is_export = isinstance(tasks, list) and all(
        isinstance(task, dict) and isinstance(task.get('annotations'), list) and isinstance(task.get('data'), dict)
        for task in tasks
    )
    if not is_export or not tasks:
        raise DataError(
            f'{os.fspath(path)}: not a Label Studio export of tasks with data and annotations. Export the project as '
            '"JSON", not as "JSON-MIN"'
        )
    counts: Counter[str] = Counter()
    records, without_caption = [], []
    for task in tasks:
        annotations = [a for a in task['annotations'] if not a.get('was_cancelled')]
        if not annotations:
            counts['tasks without an annotation left out'] += 1
            continue
        counts['tasks with several annotations, the newest taken'] += len(annotations) > 1
        newest = max(annotations, key=lambda a: (a.get('updated_at') or '', a.get('id') or 0))
        name = _file_name(task)
        record = _convert_task(name, newest.get('result') or [], true_frames, counts)
        if not record['global_caption']:
            if default_caption is None:
                without_caption.append(name)
            record['global_caption'] = default_caption
        records.append(record)
    if without_caption:
        raise DataError(
            f'{os.fspath(path)}: {len(without_caption)} videos have no caption (first: '
            f'{", ".join(without_caption[:5])}). Add a text to them in Label Studio, or give a default caption'
        )
    return records, counts


def _file_name(task: dict[str, Any]) -> str:
    videos = [v for v in task['data'].values() if isinstance(v, str) and PurePosixPath(_url_path(v)).suffix]
    if not videos:
        raise DataError(f'Label Studio task {task.get("id")}: its data names no video file')
    preferred = task['data'].get('video')
    name = PurePosixPath(_url_path(preferred if preferred in videos else videos[0])).name
    return _UPLOAD_PREFIX.sub('', name)


def _url_path(url: str) -> str:
    parsed = urlparse(url)
    local = parse_qs(parsed.query).get('d')  # /data/local-files/?d=folder/name.mp4
    return local[0] if local else unquote(parsed.path)


def _convert_task(
    name: str, results: list[dict], true_frames: Callable[[str], int] | None, counts: Counter[str]
) -> dict[str, Any]:
    texts: dict[str, str] = {}
    tracks: dict[str, dict] = {}
    for result in results:
        value = result.get('value') or {}
        if result.get('type') == 'videorectangle':
            tracks[result['id']] = result
        elif isinstance(value.get('text'), str | list):
            text = value['text'] if isinstance(value['text'], str) else ' '.join(value['text'])
            texts[result.get('id', '')] = text.strip()
    labels = {r.get('id'): (r.get('value') or {}).get('labels') for r in results if r.get('type') != 'videorectangle'}
    regions = []
    for key, track in tracks.items():
        value = track['value']
        note = (track.get('meta') or {}).get('text') or []
        note = note if isinstance(note, str) else ' '.join(note)
        caption = texts.get(key) or note.strip() or ', '.join(value.get('labels') or labels.get(key) or [])
        region = _convert_track(name, value, true_frames, counts)
        if region is None:
            counts['tracks without a keyframe left out'] += 1
            continue
        regions.append({'caption': caption, **region})
    caption = ' '.join(text for key, text in texts.items() if key not in tracks)
    counts['videos'] += 1
    counts['regions'] += len(regions)
    return {'f_path': name, 'global_caption': caption, 'bbox_info': regions}


def _convert_track(
    name: str, value: dict, true_frames: Callable[[str], int] | None, counts: Counter[str]
) -> dict[str, Any] | None:
    sequence = value.get('sequence') or []
    if not sequence:
        return None
    scale, total = 1.0, value.get('framesCount')
    if true_frames is not None and total:
        true_total = true_frames(name)
        if abs(true_total - total) > 1:  # rounding of the duration is off by one at most
            scale = true_total / total
            counts['tracks rescaled to the true number of frames'] += 1
        total = true_total
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
    last = keyframes[-1]
    # A track that is not ended goes on to the end of the video.
    end = max(int(total) - 1, last['frame']) if last['enabled'] and total else last['frame']
    return {'start_frame': keyframes[0]['frame'], 'end_frame': end, 'keyframes': keyframes}
