"""Pictures of the objects that raised the score, each beside the nearest normal example from a training clip."""

import os
from pathlib import Path

import cv2
import numpy as np

from vadlab.datasets.video import read_frames
from vadlab.structures.normal_example import NormalExample
from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_bytes
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

_HEIGHT, _MOST_WIDTH, _GAP = 160, 240, 8  # pixels
_CONTEXT = 0.6  # of the box's longer side, around it
_OBJECT, _NORMAL = (214, 69, 65), (60, 160, 90)  # RGB of the outlines


def write_examples(result: VideoResult, peaks: list[int], folder: Path) -> dict[str, str]:
    """Write ``example_PEAK.jpg`` for events: their highest object with an example on the left, the example beside it.

    Events without an example, or whose training clip is not at its place any more, have no picture.

    Args:
        result (VideoResult): With ``examples`` in its boxes, see :class:`VideoResult`.
        peaks (list[int]): Peaks of the events.
        folder (Path): Folder of the pictures.

    Returns:
        dict[str, str]: Description of the picture by the event's peak.

    Raises:
        DataError: An example is damaged.
    """
    boxes = result.boxes
    written: dict[str, str] = {}
    if boxes is None or 'examples' not in boxes:
        return written
    frames, scores = np.asarray(boxes.frame_inds), np.asarray(boxes.scores)
    told = np.array([bool(text) for text in boxes.examples], bool)
    for event in result.events:
        inside = np.flatnonzero((frames >= event.start) & (frames < event.end) & told)
        if event.peak not in peaks or not len(inside):
            continue
        best = int(inside[scores[inside].argmax()])
        example = NormalExample.from_json(boxes.examples[best])
        if example.box is None or not os.path.exists(example.path):
            continue
        try:
            both = [
                _crop(result.path, int(frames[best]), np.asarray(boxes.boxes_xyxy[best], np.float64), _OBJECT),
                _crop(example.path, example.frame, np.asarray(example.box), _NORMAL),
            ]
        except (ConfigError, DataError, MissingFileError):  # the clip was changed
            continue
        gap = np.full((_HEIGHT, _GAP, 3), 255, np.uint8)
        picture = np.concatenate([both[0], gap, both[1]], axis=1)
        _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        write_bytes(folder / f'example_{event.peak}.jpg', data.tobytes())
        written[str(event.peak)] = f'Left: the object in frame {frames[best]}. Right: nearest normal, {example.text()}'
    return written


def _crop(path: str, frame: int, box: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A box with its surroundings and outline, RGB, uint8, shape (160, at most 240, 3)."""
    picture = read_frames(path, np.array([frame]))[0]
    height, width = picture.shape[:2]
    margin = _CONTEXT * max(box[2] - box[0], box[3] - box[1])
    x1, y1 = np.floor(np.maximum(box[:2] - margin, 0)).astype(int)
    x2, y2 = np.ceil(np.minimum(box[2:] + margin, [width, height])).astype(int)
    if x2 - x1 < 1 or y2 - y1 < 1:
        raise DataError(f'the box {box.tolist()} is outside {path}')
    part = picture[y1:y2, x1:x2]
    scale = min(_HEIGHT / part.shape[0], _MOST_WIDTH / part.shape[1])
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    drawn = np.ascontiguousarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA))
    corners = np.round((box - np.array([x1, y1, x1, y1])) * scale).astype(int).tolist()
    cv2.rectangle(drawn, corners[:2], corners[2:], colour, 2)
    out = np.full((_HEIGHT, size[0], 3), 255, np.uint8)
    top = (_HEIGHT - size[1]) // 2
    out[top : top + size[1]] = drawn
    return out
