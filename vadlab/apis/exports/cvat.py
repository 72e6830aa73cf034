"""Results as annotations of CVAT tasks, in the format "CVAT for video 1.1"."""

import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from vadlab.datasets.formats.cvat import EVENT_PREFIX
from vadlab.datasets.video import index_video
from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_bytes
from vadlab.utils.errors import MissingFileError
from vadlab.utils.json_file import write_json
from vadlab.utils.run_log import log

from .box_tracks import BoxTrack, box_tracks
from .xml_text import label_text, xml_text

LABELS_FILE = 'labels.json'
#: Most characters of a label's name, by CVAT's API.
MAX_LABEL = 64


def cvat_of(result: VideoResult) -> bytes:
    """Annotations of a CVAT task that was made from the video itself.

    CVAT numbers frames from 0 in the order of decoding, so numbers are the same at a variable frame rate. Events are
    tracks of the whole picture with a label like ``event: Fighting``, since this format has no labels of time.
    """
    height, width = _stored_size(result)
    count = len(result.scores)
    scale = np.array([width, height, width, height]) / np.array([result.size[1], result.size[0]] * 2)
    tracks = [(track.label, track._replace(boxes=track.boxes * scale)) for track in box_tracks(result)]
    for event in result.events:
        whole = np.array([[0, 0, width, height]], np.float64)
        name = f'{EVENT_PREFIX}{event.label or "anomaly"}'
        tracks.append((name, BoxTrack(name, [event.start], whole, event.end)))
    root = ET.Element('annotations')
    ET.SubElement(root, 'version').text = '1.1'
    meta = ET.SubElement(root, 'meta')
    task = ET.SubElement(meta, 'task')
    facts = {'name': result.name, 'size': count, 'mode': 'interpolation', 'start_frame': 0, 'stop_frame': count - 1}
    for key, value in facts.items():
        ET.SubElement(task, key).text = xml_text(str(value))
    labels = ET.SubElement(task, 'labels')
    for label in dict.fromkeys(_label(label) for label, _ in tracks):
        ET.SubElement(ET.SubElement(labels, 'label'), 'name').text = label
    size = ET.SubElement(task, 'original_size')
    ET.SubElement(size, 'width').text, ET.SubElement(size, 'height').text = str(width), str(height)
    ET.SubElement(task, 'source').text = xml_text(PurePosixPath(result.name).name)
    for number, (label, track) in enumerate(tracks):
        element = ET.SubElement(root, 'track', id=str(number), label=_label(label), source='auto')
        for frame, box in zip(track.frames, track.boxes, strict=True):
            _add_box(element, frame, list(box), False)
        if track.end < count:
            _add_box(element, track.end, list(track.boxes[-1]), True)
    ET.indent(root)
    return ET.tostring(root, encoding='utf-8', xml_declaration=True)


def write_cvat(results: Iterable[VideoResult], folder: Path) -> int:
    """Write ``NAME.xml`` of each video below a folder, and the labels of all as ``labels.json``.

    CVAT reads annotations only of labels that the task has. Its label constructor takes ``labels.json`` as "Raw".

    Args:
        results (Iterable[VideoResult]): Results without errors.
        folder (Path): The folder.

    Returns:
        int: Number of videos.
    """
    count, labels = 0, dict.fromkeys(('anomaly', f'{EVENT_PREFIX}anomaly'))
    for result in results:
        write_bytes(folder / f'{result.name}.xml', cvat_of(result))
        labels.update(dict.fromkeys(track.label for track in box_tracks(result)))
        labels.update(dict.fromkeys(f'{EVENT_PREFIX}{event.label}' for event in result.events if event.label))
        count += 1
    names = dict.fromkeys(map(_label, labels))
    if cut := [label for label in labels if len(label_text(label)) > MAX_LABEL]:
        log(
            f'{len(cut)} labels are longer than the {MAX_LABEL} characters that CVAT takes, and were cut (first: '
            f'{_label(cut[0])})'
        )
    write_json(folder / LABELS_FILE, [{'name': name, 'attributes': []} for name in names])
    return count


def _label(text: str) -> str:
    """A label that CVAT takes; a longer one is cut, and ends in a checksum of the whole."""
    text = label_text(text)
    return text if len(text) <= MAX_LABEL else f'{text[: MAX_LABEL - 9]}~{zlib.crc32(text.encode()):08x}'


def _stored_size(result: VideoResult) -> tuple[int, int]:
    """Height and width of the pictures as CVAT shows them: upright, but with the pixels as they are stored."""
    height, width = result.size
    try:
        index = index_video(result.path, count=False)
    except MissingFileError:
        log(f'{result.name}: the video is not at {result.path}. If its pixels are not square, the boxes will be wrong')
        return height, width
    if index.orientation.transposed:
        return max(round(height / index.pixel_aspect), 1), width
    return height, max(round(width / index.pixel_aspect), 1)


def _add_box(track: ET.Element, frame: int, box: list[float], outside: bool) -> None:
    sides = {name: f'{value:.2f}' for name, value in zip(('xtl', 'ytl', 'xbr', 'ybr'), box, strict=True)}
    flags = {'frame': str(frame), 'outside': str(int(outside)), 'occluded': '0', 'keyframe': '1'}
    ET.SubElement(track, 'box', {**flags, **sides, 'z_order': '0'})
