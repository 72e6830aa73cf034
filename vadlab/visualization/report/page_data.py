"""Content of a video's page and of its entry in the list of videos, as JSON."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vadlab.structures.video_result import RunInfo, VideoResult

from ..renderers.video_picture import score_range

SPARK_POINTS = 160
_FAR = 1_000_000
_TIMESCALES = (12_800, 15_360, 90_000, 1_000, 30_000, 60_000, 24_000, 10_240, 12_288, 600, 16_000)  # of mp4 and mkv


def packed(array: np.ndarray, dtype: str) -> str:
    """An array as base64 of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(array, np.dtype(dtype).newbyteorder('<')).tobytes()).decode()


def readable(text: str) -> str:
    """The text with bytes of file names that are not UTF-8 as escapes."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def page_data(result: VideoResult, run: RunInfo, report_id: str, video: Mapping[str, Any]) -> dict[str, Any]:
    """Data for the script of a video's page.

    Scores and times are exact, so the page finds the same events as Python. Long arrays are base64.

    Args:
        result (VideoResult): The result.
        run (RunInfo): What made it.
        report_id (str): Names the marks of the report in the browser.
        video (Mapping): ``src`` (file relative to the page, or None), ``why`` (why there is none), ``thumbs`` (frame
            numbers with a picture), ``examples`` (descriptions of pictures of normal examples, by the event's peak),
            ``thumb_folder``.
    """
    bottom, top, zoomed = score_range(result.scores) if len(result.scores) else (0.0, 1.0, False)
    threshold = result.threshold or run.thresholds
    calibration = run.calibration
    content: dict[str, Any] = {
        'report': report_id,
        'name': readable(result.name),
        'path': readable(result.path),
        'fps': result.fps,
        'size': list(result.size),
        'frames': len(result.scores),
        'scores': packed(result.scores, 'f4'),
        'times': _times(result.times, result.fps),
        'frame_inds': packed(result.frame_inds, 'i4'),
        'range': [bottom, top],
        'zoomed': zoomed,
        'classes': list(result.classes),
        'class_scores': None if result.class_scores is None else packed(result.class_scores, 'f4'),
        'events': [asdict(event) for event in result.events],
        'boxes': _boxes(result),
        'truth': None if result.truth is None else result.truth.tolist(),
        'threshold': None if threshold is None else asdict(threshold),
        'calibration': None if calibration is None else asdict(calibration),
        'video': dict(video),
    }
    return content


def index_entry(result: VideoResult, page: str, strip: str | None, strip_frames: int) -> dict[str, Any]:
    """Entry of a result in the list of videos.

    Args:
        result (VideoResult): The result.
        page (str): Its page, relative to the list.
        strip (str | None): The strip of frames, relative to the list.
        strip_frames (int): Number of frames in the strip.
    """
    scores = result.scores
    labels = [event.label for event in sorted(result.events, key=lambda e: -e.score) if event.label]
    bottom, top = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    top = top if top > bottom else bottom + 1
    height, width = result.size
    return {
        'name': readable(result.name),
        'page': page,
        'error': None if result.error is None else readable(result.error),
        'score': float(scores.max()) if len(scores) else None,
        'labels': list(dict.fromkeys(labels)),
        'events': len(result.events),
        'event_s': float(sum(event.end_s - event.start_s for event in result.events)),
        'duration_s': result.duration_s,
        'frames': len(scores),
        'truth': None if result.truth is None else len(result.truth),
        'strip': strip,
        'strip_frames': strip_frames,
        'aspect': round(width / height, 4) if height and width else 1.7778,
        'spark': spark_path(scores, bottom, top),
        'spark_range': [bottom, top],
        'spark_events': [
            [round(part / max(len(scores), 1), 4) for part in (event.start, event.end)] for event in result.events
        ],
    }


def spark_path(scores: np.ndarray, bottom: float, top: float) -> str:
    """Outline of a small curve as an SVG path: the maximum of each part of the video.

    ``top`` is at 0, ``bottom`` at 100, and the area below reaches far down, since a list may show more than this.

    >>> spark_path(np.array([0.0, 1.0]), 0, 1)
    'M0 1000000L0 100L160 0L160 1000000Z'
    """
    if not len(scores):
        return ''
    count = min(SPARK_POINTS, len(scores))
    edges = np.linspace(0, len(scores), count + 1).astype(np.int64)[:-1]
    highest = np.maximum.reduceat(scores, edges)
    y = np.round(100 - 100 * np.clip((highest - bottom) / (top - bottom), 0, 1)).astype(int)
    x = np.round(np.linspace(0, 160, count)).astype(int) if count > 1 else np.array([0])
    points = ''.join(f'L{a} {b}' for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'M0 {_FAR}{points}{"" if count > 1 else f"L160 {y[-1]}"}L160 {_FAR}Z'


def spark_windows(entries: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Part of each spark that shows one range of scores, so that the curves of a list can be compared.

    Args:
        entries (Sequence): See :func:`index_entry`.

    Returns:
        tuple: The range, from the lowest score of all to the highest; the top and the height of the part of each
        spark, one after the other, in the units of its path.
    """
    ranges = [entry.get('spark_range') or [0.0, 1.0] for entry in entries]
    known = [
        (low, entry['score']) for (low, _), entry in zip(ranges, entries, strict=True) if entry['score'] is not None
    ]
    least, greatest = min((low for low, _ in known), default=0.0), max((high for _, high in known), default=1.0)
    greatest = greatest if greatest > least else least + 1
    windows = []
    for low, high in ranges:
        unit = 100 / (high - low)
        windows += [round(unit * (high - greatest), 2), round(unit * (greatest - least), 2)]
    return [least, greatest], windows


def _times(times: np.ndarray, fps: float) -> dict[str, Any]:
    """Times, exact: a rate, a step, or a number of ticks where these give the same numbers, else all of them."""
    numbers = np.arange(len(times))
    if np.array_equal(times, numbers / fps):
        return {'fps': fps}
    if len(times) > 1 and np.array_equal(times, numbers * times[1]):
        return {'step': float(times[1])}
    for per_second in _TIMESCALES if len(times) > 1 else ():
        ticks, tick = round(float(times[1]) * per_second), 1 / per_second
        if np.array_equal(times, numbers * ticks * tick):
            return {'ticks': ticks, 'tick': tick}
    return {'values': packed(times, 'f8')}


def _boxes(result: VideoResult) -> dict[str, Any] | None:
    boxes = result.boxes
    if boxes is None or not len(boxes.frame_inds):
        return None
    order = np.argsort(np.asarray(boxes.frame_inds), kind='stable')
    height, width = result.size
    scale = np.array([width, height, width, height], np.float64)
    words: dict[str, int] = {}
    texts = {
        key: packed(np.array([words.setdefault(str(boxes.get(key)[i]), len(words)) for i in order]), 'i4')
        for key in ('labels', 'reasons')
    }
    return {
        'frames': packed(np.asarray(boxes.frame_inds)[order], 'i4'),
        'xyxyn': packed(np.asarray(boxes.boxes_xyxy, np.float64)[order] / scale, 'f4'),
        'scores': packed(np.asarray(boxes.scores)[order], 'f4'),
        'tracks': packed(np.asarray(boxes.track_ids)[order], 'i4'),
        **texts,
        'words': list(words),
    }
