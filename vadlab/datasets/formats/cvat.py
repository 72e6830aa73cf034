"""Converting CVAT's video annotations: tracks to regions, tracks of events to spans of time."""

import os
import re
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vadlab.utils.errors import DataError, naming
from vadlab.utils.text_file import read_text

from .imported_annotations import ImportedAnnotations, ImportedVideo, gather, is_normal
from .temporal_annotations import ClassInterval

#: A track whose label begins with this is an event: its spans of time count, not its boxes.
EVENT_PREFIX = 'event: '
_OTHER_SHAPES = ('polygon', 'polyline', 'points', 'cuboid', 'mask', 'skeleton', 'ellipse')


def convert_cvat(
    paths: Sequence[str | os.PathLike[str]],
    default_caption: str | None = None,
    frame_size: Callable[[str], tuple[int, int]] | None = None,
) -> ImportedAnnotations:
    """Read exports in the format "CVAT for video 1.1", one XML file per task.

    CVAT numbers frames from 0 in the order of decoding, as VADLab does, also at a variable frame rate. Boxes have the
    frame numbers of the whole video, also in a task of a part of it or of every n-th frame. Each visible stretch of a
    track becomes a region, whose caption is the track's label; a track with a label like ``event: Fighting`` becomes
    spans of time of that class.

    CVAT stores only the file name of a video. If the name of the task is a path that ends in it, the video has that
    path.

    Args:
        paths: The files ``annotations.xml``.
        default_caption: Caption of all videos, which CVAT has none for; None raises an error.
        frame_size: Returns height and width of a video in pixels by its name, for tasks of images, whose export has
            no size; None raises an error for them.

    Returns:
        Records, temporal annotation and counts. What is not read is counted.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such an export, two are of the same video, or there is no caption.
    """
    counts: Counter[str] = Counter()
    videos: dict[str, ImportedVideo] = {}
    for path in paths:
        with naming(path):
            if os.path.isfile(path) and zipfile.is_zipfile(path):
                raise DataError('a ZIP file, as CVAT exports it. Unpack it, and give the annotations.xml in it')
            video = _read_task(read_text(path), counts, frame_size)
        name = video.record['f_path']
        if name in videos:
            raise DataError(
                f'{os.fspath(path)}: {name} is in two exports. Give one of them. If they are two videos with one file '
                'name, name each task by the path of its video'
            )
        videos[name] = video
    source = os.fspath(paths[0]) if len(paths) == 1 else f'{len(paths)} exports of CVAT'
    return gather(list(videos.values()), source, counts, default_caption)


class _Task(NamedTuple):
    """Name and size of a task's video, and its frames of the task: first, step, and one past the last if known.

    ``is_dumped``: CVAT wrote the file, with a box in every frame in which a track is visible.
    """

    name: str
    width: float
    height: float
    first: int
    step: int
    stop: int | None
    is_dumped: bool


def _parse(text: str) -> tuple[ET.Element, ET.Element]:
    """The root of an export, and its task."""
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise DataError('an XML file with a document type, which CVAT does not write, is refused')
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise DataError(f'not valid XML: {error}') from error
    task = root.find('meta/task')
    for whole in ('job', 'project'):
        if root.find(f'meta/{whole}') is not None:
            raise DataError(f'an export of a {whole}. Export each task as "CVAT for video 1.1"')
    if root.tag != 'annotations' or task is None:
        raise DataError(
            'not an export of a CVAT task in the format "CVAT for video 1.1": it has no annotations, meta, task'
        )
    if root.find('image') is not None:
        raise DataError('the format is "CVAT for images". Export the task as "CVAT for video 1.1"')
    return root, task


def _facts(root: ET.Element, task: ET.Element, frame_size: Callable[[str], tuple[int, int]] | None) -> _Task:
    source = (root.findtext('meta/source') or task.findtext('source') or '').strip()
    title = (task.findtext('name') or '').strip()
    name = title if not source or title.endswith(f'/{source}') else source
    if not name:
        raise DataError('the task has no name, and no source')
    size = root.find('meta/original_size')
    size = task.find('original_size') if size is None else size
    if size is not None:
        width, height = (_number(size, side, float) for side in ('width', 'height'))
    elif frame_size is not None:
        height, width = frame_size(name)
    else:
        raise DataError(
            'no original_size: CVAT writes none for a task of images. Give the folder of the videos and folders of '
            f'frames (--data-root); the one of this task is called {name}'
        )
    if width <= 0 or height <= 0:
        raise DataError(f'the original_size is {width:g} x {height:g}')
    first = _number(task, 'start_frame', int) if task.findtext('start_frame') else 0
    step = int((re.search(r'step\s*=\s*(\d+)', task.findtext('frame_filter') or '') or [0, 1])[1])
    count = _number(task, 'size', int) if task.findtext('size') else 0
    stop = first + count * max(step, 1) if count else None
    return _Task(name, width, height, first, max(step, 1), stop, root.find('meta/dumped') is not None)


def _read_task(text: str, counts: Counter[str], frame_size: Callable[[str], tuple[int, int]] | None) -> ImportedVideo:
    root, element = _parse(text)
    task = _facts(root, element, frame_size)
    regions: list[dict[str, Any]] = []
    spans: list[ClassInterval] = []
    for track in root.findall('track'):
        label = ' '.join((track.get('label') or '').split())
        if not label:
            raise DataError('a track has no label')
        boxes = track.findall('box')
        counts['tracks of polygons and other shapes were not read'] += any(
            track.find(kind) is not None for kind in _OTHER_SHAPES
        )
        counts['tracks with attributes, which were not read'] += any(box.find('attribute') is not None for box in boxes)
        counts['tracks with rotated boxes: the rotation is ignored'] += any(
            float(_number(box, 'rotation', float)) != 0 for box in boxes if box.get('rotation')
        )
        for shown, end in _visible(boxes, task):
            # The last frame of the task with the box, also if the task has every n-th frame only.
            start_frame, end_frame = shown[0][0], max(shown[-1][0], end - task.step)
            if label.lower().startswith(EVENT_PREFIX):
                spans.append(ClassInterval(_class_name(label[len(EVENT_PREFIX) :]), start_frame, end_frame + 1))
                continue
            sides = (task.width, task.height) * 2
            keyframes = [
                {
                    'frame': frame,
                    'bbox': [round(value / side, 6) for value, side in zip(box, sides, strict=True)],
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
    return ImportedVideo({'f_path': task.name, 'global_caption': '', 'bbox_info': regions}, class_name, spans)


def _visible(boxes: Iterable[ET.Element], task: _Task) -> list[tuple[list[tuple[int, list[float]]], int]]:
    """Visible stretches of a track: keyframes with their boxes, and the frame of the task after the last.

    CVAT writes a box for every frame of the task, of which those between keyframes are interpolated. The last one of a
    stretch is kept as a keyframe, since CVAT interpolates towards the box that ends the stretch.
    """
    found: list[tuple[list[tuple[int, list[float]]], int]] = []
    current: list[tuple[int, list[float]]] = []
    between: tuple[int, list[float]] | None = None
    last = -1
    for element in sorted(boxes, key=lambda box: _number(box, 'frame', int)):
        frame = _number(element, 'frame', int)
        is_outside = element.get('outside') == '1'
        if frame < task.first or (task.stop is not None and frame >= task.stop and not is_outside):
            frames = f'{task.first} to {task.stop - 1}' if task.stop is not None else f'{task.first} on'
            raise DataError(f'a box is in frame {frame}, but the frames of the task are {frames}')
        box = frame, [_number(element, side, float) for side in ('xtl', 'ytl', 'xbr', 'ybr')]
        is_keyframe = element.get('keyframe', '1') != '0' or not current
        if between is not None and is_outside:
            current.append(between)
        if is_outside:
            if current and frame > current[0][0]:
                found.append((current, frame))
            current = []
        elif is_keyframe:
            current.append(box)
        between = None if is_outside or is_keyframe else box
        last = max(last, frame)
    if current:  # visible until the end; CVAT writes no end of a shape in the last frame but one
        is_known = task.stop is not None and not task.is_dumped
        found.append((current, task.stop if is_known else last + task.step))  # type: ignore[arg-type]
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
