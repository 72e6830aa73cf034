"""Converting CVAT's video annotations: tracks to regions, tracks of events to spans of time."""

import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from vadlab.utils.errors import DataError, naming
from vadlab.utils.text_file import read_text

from .imported_annotations import ImportedAnnotations, ImportedVideo, gather, is_normal
from .temporal_annotations import ClassInterval

#: A track whose label begins with this is an event: its spans of time count, not its boxes.
EVENT_PREFIX = 'event: '
_OTHER_SHAPES = ('polygon', 'polyline', 'points', 'cuboid', 'mask', 'skeleton', 'ellipse')


def convert_cvat(paths: Sequence[str | os.PathLike[str]], default_caption: str | None = None) -> ImportedAnnotations:
    """Read exports in the format "CVAT for video 1.1", one XML file per task.

    CVAT numbers frames from 0 in the order of decoding, as VADLab does, also at a variable frame rate. A task of a part
    of the video or of every n-th frame is mapped to the video's own frames. Each visible stretch of a track becomes a
    region, whose caption is the track's label; a track with a label like ``event: Fighting`` becomes spans of time of
    that class.

    Args:
        paths: The files ``annotations.xml``.
        default_caption: Caption of all videos, which CVAT has none for; None raises an error.

    Returns:
        Records, temporal annotation and counts.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such an export, two are of the same video, or there is no caption.
    """
    counts: Counter[str] = Counter()
    videos: dict[str, ImportedVideo] = {}
    for path in paths:
        with naming(path):
            video = _read_task(read_text(path), counts)
        name = video.record['f_path']
        if name in videos:
            raise DataError(f'{os.fspath(path)}: {name} is in two exports. Give one of them')
        videos[name] = video
    source = os.fspath(paths[0]) if len(paths) == 1 else f'{len(paths)} exports of CVAT'
    return gather(list(videos.values()), source, counts, default_caption)


def _read_task(text: str, counts: Counter[str]) -> ImportedVideo:
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise DataError('an XML file with a document type, which CVAT does not write, is refused')
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise DataError(f'not valid XML: {error}') from error
    task = root.find('meta/task')
    if root.tag != 'annotations' or task is None:
        raise DataError(
            'not an export of a CVAT task in the format "CVAT for video 1.1": it has no annotations, meta, task'
        )
    if root.find('image') is not None:
        raise DataError('the format is "CVAT for images". Export the task as "CVAT for video 1.1"')
    name = (root.findtext('meta/source') or task.findtext('source') or task.findtext('name') or '').strip()
    size = root.find('meta/original_size')
    size = task.find('original_size') if size is None else size
    width, height = (_number(size, side, float) if size is not None else 0.0 for side in ('width', 'height'))
    if not name or width <= 0 or height <= 0:
        raise DataError('the task has no name, or no original_size of its video')
    first = int(task.findtext('start_frame') or 0)
    step = int((re.search(r'step\s*=\s*(\d+)', task.findtext('frame_filter') or '') or [0, 1])[1])
    total = int(task.findtext('size') or 0)
    regions: list[dict[str, Any]] = []
    spans: list[ClassInterval] = []
    for track in root.findall('track'):
        label = ' '.join((track.get('label') or '').split())
        if not label:
            raise DataError('a track has no label')
        shapes = sum(track.find(kind) is not None for kind in _OTHER_SHAPES)
        counts['tracks of polygons and other shapes were not read'] += shapes
        for shown, end in _visible(track.findall('box'), total):
            start_frame, end_frame = first + shown[0][0] * step, first + (end - 1) * step
            if label.lower().startswith(EVENT_PREFIX):
                spans.append(ClassInterval(_class_name(label[len(EVENT_PREFIX) :]), start_frame, end_frame + 1))
                continue
            keyframes = [
                {
                    'frame': first + frame * step,
                    'bbox': [round(value / side, 6) for value, side in zip(box, (width, height) * 2, strict=True)],
                    'enabled': True,
                }
                for frame, box in shown
            ]
            region = {'caption': label, 'start_frame': start_frame, 'end_frame': end_frame, 'keyframes': keyframes}
            regions.append(region)
    normal = [span for span in spans if is_normal(span.class_name)]
    spans = [span for span in dict.fromkeys(spans) if span not in normal]
    counts['spans of normal frames left out: a temporal annotation lists anomalous ones'] += len(normal)
    counts['videos'] += 1
    counts['regions'] += len(regions)
    counts['spans of time'] += len(spans)
    class_name = normal[0].class_name if normal and not spans else ''
    return ImportedVideo({'f_path': name, 'global_caption': '', 'bbox_info': regions}, class_name, spans)


def _visible(boxes: Iterable[ET.Element], total: int) -> list[tuple[list[tuple[int, list[float]]], int]]:
    """Visible stretches of a track: keyframes with their boxes, and the frame after the last."""
    found: list[tuple[list[tuple[int, list[float]]], int]] = []
    current: list[tuple[int, list[float]]] = []
    last = -1
    for box in sorted(boxes, key=lambda element: _number(element, 'frame', int)):
        frame = _number(box, 'frame', int)
        if frame < 0:
            raise DataError(f'a box is in frame {frame}')
        if box.get('outside') == '1':
            if current and frame > current[0][0]:
                found.append((current, frame))
            current = []
        elif box.get('keyframe', '1') != '0' or not current:
            current.append((frame, [_number(box, side, float) for side in ('xtl', 'ytl', 'xbr', 'ybr')]))
        last = max(last, frame)
    if current:  # visible until the end
        found.append((current, max(total, last + 1)))
    return found


def _number(element: ET.Element, name: str, kind: type) -> Any:
    text = element.get(name) if element.get(name) is not None else element.findtext(name)
    try:
        value = kind(text)
    except (TypeError, ValueError) as error:
        raise DataError(f'{element.tag}: {name} is {text!r}, not a number') from error
    if not -1e9 < value < 1e9:
        raise DataError(f'{element.tag}: {name} is {text!r}, which is too large')
    return value


def _class_name(text: str) -> str:
    if not text.strip() or re.search(r'(^| )[+-]?\d+( |$)', text):
        raise DataError(
            f'The event {text!r} has no name, or one with a number, which a temporal annotation takes for a frame. '
            'Rename it'
        )
    return text.strip()
