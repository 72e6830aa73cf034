"""Results as annotations of CVAT tasks, in the format "CVAT for video 1.1"."""

import xml.etree.ElementTree as ET
from pathlib import Path, PurePosixPath

from vadlab.datasets.formats.cvat import EVENT_PREFIX
from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_bytes

from .box_tracks import BoxTrack, box_tracks


def cvat_of(result: VideoResult) -> bytes:
    """Annotations of a CVAT task that was made from the video itself.

    CVAT numbers frames from 0 in the order of decoding, so numbers are the same at a variable frame rate. Events are
    tracks of the whole picture with a label like ``event: Fighting``, since this format has no labels of time.
    """
    height, width = result.size
    count = len(result.scores)
    tracks = [(track.label, track) for track in box_tracks(result)]
    for event in result.events:
        whole = [[0.0, 0.0, float(width), float(height)]]
        name = f'{EVENT_PREFIX}{event.label or "anomaly"}'
        tracks.append((name, BoxTrack(name, [event.start], whole, event.end)))  # type: ignore[arg-type]
    root = ET.Element('annotations')
    ET.SubElement(root, 'version').text = '1.1'
    meta = ET.SubElement(root, 'meta')
    task = ET.SubElement(meta, 'task')
    facts = {'name': result.name, 'size': count, 'mode': 'interpolation', 'start_frame': 0, 'stop_frame': count - 1}
    for key, value in facts.items():
        ET.SubElement(task, key).text = _clean(str(value))
    labels = ET.SubElement(task, 'labels')
    for label in dict.fromkeys(label for label, _ in tracks):
        ET.SubElement(ET.SubElement(labels, 'label'), 'name').text = _clean(label)
    size = ET.SubElement(task, 'original_size')
    ET.SubElement(size, 'width').text, ET.SubElement(size, 'height').text = str(width), str(height)
    ET.SubElement(task, 'source').text = _clean(PurePosixPath(result.name).name)
    for number, (label, track) in enumerate(tracks):
        element = ET.SubElement(root, 'track', id=str(number), label=_clean(label), source='auto')
        for frame, box in zip(track.frames, track.boxes, strict=True):
            _add_box(element, frame, list(box), False)
        if track.end < count:
            _add_box(element, track.end, list(track.boxes[-1]), True)
    ET.indent(root)
    return ET.tostring(root, encoding='utf-8', xml_declaration=True)


def write_cvat(result: VideoResult, folder: Path) -> Path:
    """Write ``NAME.xml`` below a folder; return its path."""
    path = folder / f'{result.name}.xml'
    write_bytes(path, cvat_of(result))
    return path


def _add_box(track: ET.Element, frame: int, box: list[float], outside: bool) -> None:
    sides = {name: f'{value:.2f}' for name, value in zip(('xtl', 'ytl', 'xbr', 'ybr'), box, strict=True)}
    flags = {'frame': str(frame), 'outside': str(int(outside)), 'occluded': '0', 'keyframe': '1'}
    ET.SubElement(track, 'box', {**flags, **sides, 'z_order': '0'})


def _clean(text: str) -> str:
    """The text without characters that XML does not allow."""
    text = text.encode('utf-8', 'backslashreplace').decode()
    return ''.join(char if char in '\t\n\r' or (char >= ' ' and char not in '\ufffe\uffff') else ' ' for char in text)
