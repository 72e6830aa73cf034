"""The folder of a watched camera: its state, curve, latest picture and events, and their file formats.

``tools/watch.py --out OUT`` writes these files below ``OUT/NAME``, and a wall page reads them:

- ``status.json``: :class:`CameraState`, about once a second, and when an event with an alarm begins
- ``latest.jpg``: the latest picture, at most 480 pixels wide
- ``curve.json``: the highest score of every 5 seconds of the last hour
- ``events.jsonl``: one :class:`CameraEvent` per line, when it is over
- ``clips/*.mp4``: clips of events; the oldest are deleted when the disk budget is used up

All but ``events.jsonl`` are replaced atomically. No file has a source's password.
"""

import json
import math
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import parse_json, read_json, shape_fault, write_json
from vadlab.utils.natural_order import natural_sorted

STATUS_FILE = 'status.json'
PICTURE_FILE = 'latest.jpg'
CURVE_FILE = 'curve.json'
EVENTS_FILE = 'events.jsonl'
CLIPS_FOLDER = 'clips'
#: Width of ``latest.jpg``, in pixels, at most.
MOST_PICTURE_WIDTH = 480
#: Seconds of a point of the curve, and the most points.
CURVE_STEP_S = 5.0
MOST_CURVE_POINTS = 720
#: States of a camera: frames arrive; it is tried again; its source is over; it cannot be used.
STATES = ('live', 'reconnecting', 'ended', 'failed')

_FORMAT = 'vadlab camera'
_VERSION = 1
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}')
_TAIL_BYTES = 2**20  # read from the end of events.jsonl


@dataclass(frozen=True)
class OpenEvent:
    """An event that is not over.

    Attributes:
        start (float): When it began, in seconds since 1970, UTC.
        peak (float): When its highest score so far was reached, in seconds since 1970, UTC.
        score (float): This score.
        label (str | None): Class or prompt.
        zone (str | None): The zone with the highest score, if the camera has zones.
    """

    start: float
    peak: float
    score: float
    label: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class UnwrittenEvent:
    """An event without a line in ``events.jsonl`` so far. The next run writes it if this one is killed.

    Attributes:
        event (CameraEvent): The event; of an open one, ``end`` is the end of the newest scored frame.
        is_open (bool): It is not over.
        is_told (bool): An alarm was given when it began, so one is due when it is over.
    """

    event: 'CameraEvent'
    is_open: bool
    is_told: bool


@dataclass(frozen=True)
class CameraState:
    """What a camera and its scores do now.

    Attributes:
        name (str): Name of the camera, unique in a run; see :func:`camera_name_fault`.
        state (str): One of :data:`STATES`.
        message (str): Why it is not ``live``, or a warning, in words; empty without one.
        source (str): The address, without its password.
        size (tuple[int, int] | None): Height and width of its frames, in pixels; None before the first frame.
        source_fps (float | None): Measured rate at which frames arrive, per second.
        scored_fps (float | None): Measured rate at which frames are scored, per second.
        read (int): Frames that arrived.
        scored (int): Frames that were scored.
        skipped (int): Frames that were not due, since fewer are scored per second than arrive.
        dropped (int): Frames that were due, but not decoded or scored in time: a newer one replaced them.
        reconnects (int): Times that the source was opened again.
        lag_s (float | None): Age of the newest scored frame now, in seconds: now minus its arrival.
        latency_median_s (float | None): Median time from a frame's arrival to its score, in seconds.
        latency_p99_s (float | None): 99th percentile of this time, in seconds.
        delay_s (float): Delay that the method needs by its nature, in seconds; 0 for methods that score frame by frame.
        score (float | None): Score of the newest scored frame.
        threshold (float | None): The high threshold of events.
        open_event (OpenEvent | None): The event that is not over.
        events (int): Events of this run that are over.
        clips_deleted (int): Clips that were deleted to keep the disk budget.
        updated (float): When this was written, in seconds since 1970, UTC.
        unwritten (tuple[UnwrittenEvent, ...]): Events that are open, or over without a line in ``events.jsonl`` yet.
    """

    name: str
    state: str
    message: str = ''
    source: str = ''
    size: tuple[int, int] | None = None
    source_fps: float | None = None
    scored_fps: float | None = None
    read: int = 0
    scored: int = 0
    skipped: int = 0
    dropped: int = 0
    reconnects: int = 0
    lag_s: float | None = None
    latency_median_s: float | None = None
    latency_p99_s: float | None = None
    delay_s: float = 0.0
    score: float | None = None
    threshold: float | None = None
    open_event: OpenEvent | None = None
    events: int = 0
    clips_deleted: int = 0
    updated: float = 0.0
    unwritten: tuple[UnwrittenEvent, ...] = ()

    def save(self, folder: str | os.PathLike) -> Path:
        """Write ``status.json`` to the folder of the camera, atomically; return its path."""
        path = Path(folder) / STATUS_FILE
        write_json(path, {'format': _FORMAT, 'version': _VERSION, **asdict(self)})
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike) -> 'CameraState':
        """Read ``status.json`` of the folder of a camera.

        Raises:
            MissingFileError: There is none.
            DataError: It is damaged, or of another version.
        """
        path = Path(folder) / STATUS_FILE
        content = read_json(path)
        if fault := shape_fault(content, _STATE_SHAPE):
            raise DataError(f'{path} is not the state of a camera: {fault}')
        if content['format'] != _FORMAT or content['version'] != _VERSION:
            what = f'{content["format"][:40]!r}, version {content["version"]}'
            raise DataError(f'{path} is {what}, which this version of VADLab cannot read.')
        if content['state'] not in STATES:
            raise DataError(f'{path}: its state {content["state"][:40]!r} is not one of {", ".join(STATES)}')
        if fault := camera_name_fault(content['name']):
            raise DataError(f'{path}: {fault}')
        if not _is_time(content['updated']):
            raise DataError(f'{path}: updated={content["updated"]} is not a time in seconds since 1970')
        values = _known(cls, content)
        if values.get('size') is not None:
            if len(values['size']) != 2 or min(values['size']) < 1:
                raise DataError(f'{path}: its size {str(values["size"])[:40]} is not a height and a width')
            values['size'] = (values['size'][0], values['size'][1])
        if values.get('open_event') is not None:
            values['open_event'] = OpenEvent(**_known(OpenEvent, values['open_event']))
        try:
            values['unwritten'] = tuple(
                UnwrittenEvent(CameraEvent.from_json(one['event']), one['is_open'], one['is_told'])
                for one in values.get('unwritten', ())
            )
        except DataError as error:
            raise DataError(f'{path}: unwritten: {error}') from error
        return cls(**values)


@dataclass(frozen=True)
class CameraEvent:
    """An event of a camera that is over.

    Attributes:
        camera (str): Name of the camera.
        start (float): When it began, in seconds since 1970, UTC.
        end (float): When it ended, in seconds since 1970, UTC.
        peak (float): When its highest score was reached, in seconds since 1970, UTC.
        score (float): This score.
        label (str | None): Class or prompt.
        reason (str): Which class or object raised the score, in words.
        zone (str | None): The zone with the highest score, if the camera has zones.
        clip (str | None): The clip, as a path below the camera's folder; it may be deleted by now. None without one.
        note (str): What is special, such as an event that was cut when its camera was lost; or why it has no clip.
    """

    camera: str
    start: float
    end: float
    peak: float
    score: float
    label: str | None = None
    reason: str = ''
    zone: str | None = None
    clip: str | None = None
    note: str = ''

    def to_json(self) -> dict[str, Any]:
        """The event as JSON: its fields, and the times also as ISO 8601 text (``start_utc`` and so on)."""
        times = {f'{key}_utc': utc_text(getattr(self, key)) for key in ('start', 'end', 'peak')}
        return {**asdict(self), **times}

    @classmethod
    def from_json(cls, content: Any) -> 'CameraEvent':
        """The event of a line of ``events.jsonl``.

        Raises:
            DataError: It is not the event of a camera, or its clip is not below the camera's folder.
        """
        if fault := shape_fault(content, _EVENT_SHAPE):
            raise DataError(f'not the event of a camera: {fault}')
        if fault := camera_name_fault(content['camera']):
            raise DataError(f'not the event of a camera: {fault}')
        bad = next((key for key in ('start', 'end', 'peak') if not _is_time(content[key])), None)
        if bad is not None:
            raise DataError(f'not the event of a camera: {bad}={content[bad]} is not a time in seconds since 1970')
        clip = content.get('clip')
        if clip is not None:
            parts = PurePosixPath(clip).parts
            if len(parts) != 2 or parts[0] != CLIPS_FOLDER or '..' in parts or '\\' in clip or '\0' in clip:
                raise DataError(
                    f'not the event of a camera: the clip {clip[:60]!r} is not in the folder {CLIPS_FOLDER}'
                )
        return cls(**_known(cls, content))


def camera_name_fault(name: str) -> str:
    """Why a text cannot name a camera, and so a folder; empty if it can.

    >>> camera_name_fault('door-2')
    ''
    >>> camera_name_fault('../door')
    "'../door' cannot name a camera: use 1 to 64 letters, digits, '_', '-' and '.', and no '.' or '-' first"
    """
    if _NAME.fullmatch(name):
        return ''
    return f"{name[:80]!r} cannot name a camera: use 1 to 64 letters, digits, '_', '-' and '.', and no '.' or '-' first"


def cameras_in(folder: str | os.PathLike) -> list[str]:
    """Names of the cameras of a run, in natural order: folders with a ``status.json``.

    Raises:
        MissingFileError: There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f'{folder}: no such folder. Name the folder of --out of tools/watch.py.')
    found = (path.name for path in folder.iterdir() if not camera_name_fault(path.name))
    return natural_sorted(name for name in found if (folder / name / STATUS_FILE).is_file())


def save_curve(folder: str | os.PathLike, points: Sequence[tuple[float, float]]) -> Path:
    """Write ``curve.json`` to the folder of a camera, atomically; return its path.

    Args:
        folder (str | PathLike): The folder of the camera.
        points (Sequence[tuple[float, float]]): Time in seconds since 1970 and highest score of :data:`CURVE_STEP_S`
            seconds, in the order of time; the last :data:`MOST_CURVE_POINTS` are kept.
    """
    path = Path(folder) / CURVE_FILE
    write_json(path, [[time, score] for time, score in points[-MOST_CURVE_POINTS:]])
    return path


def load_curve(folder: str | os.PathLike) -> list[tuple[float, float]]:
    """Points of ``curve.json`` of the folder of a camera, as :func:`save_curve` takes them.

    Raises:
        MissingFileError: There is none.
        DataError: It is damaged.
    """
    path = Path(folder) / CURVE_FILE
    content = read_json(path)
    fault = shape_fault(content, [[float]])
    if not fault and any(len(point) != 2 for point in content):
        fault = 'a point is not a time and a score'
    if fault:
        raise DataError(f'{path} is not the curve of a camera: {fault}')
    return [(float(time), float(score)) for time, score in content[-MOST_CURVE_POINTS:]]


def append_event(folder: str | os.PathLike, event: CameraEvent) -> Path:
    """Add a line to ``events.jsonl`` of the folder of a camera; return its path.

    A line that a full disk cut off stays a line of its own, so it cannot damage this one.

    Raises:
        OSError: The line cannot be written.
    """
    path = Path(folder) / EVENTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode('utf-8', 'backslashreplace') + b'\n'
    with path.open('ab+', buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b'\n':
                line = b'\n' + line
        while line:
            line = line[file.write(line) :]
    return path


def load_events(folder: str | os.PathLike, most: int = 100) -> tuple[list[CameraEvent], int]:
    """The last events of ``events.jsonl`` of the folder of a camera.

    Only the end of the file is read, so a file of weeks takes no longer than one of an hour.

    Args:
        folder (str | PathLike): The folder of the camera.
        most (int): Number of events, at most.

    Returns:
        tuple[list[CameraEvent], int]: The events, oldest first; none if there is no file. And the number of damaged
        lines that were skipped: a full disk cuts lines off.
    """
    path = Path(folder) / EVENTS_FILE
    try:
        # A pipe in its place must not block the reader.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb') as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f'{path} is not a regular file')
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL_BYTES, 0))
            raw = file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
    lines = raw.split(b'\n')[1 if size > _TAIL_BYTES else 0 :]
    events: list[CameraEvent] = []
    damaged = 0
    for line in reversed(lines[:-1]):  # what follows the last line break is being written
        if len(events) == most:
            break
        if not line.strip():
            continue
        try:
            events.append(CameraEvent.from_json(parse_json(line.decode('utf-8', 'replace'), str(path))))
        except DataError:
            damaged += 1
    return events[::-1], damaged


def utc_text(time: float) -> str:
    """A time in seconds since 1970 as ISO 8601 text in UTC, with milliseconds.

    >>> utc_text(1.5)
    '1970-01-01T00:00:01.500Z'
    """
    if not _is_time(time):
        raise DataError(f'{time} is not a time in seconds since 1970.')
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec='milliseconds')
    return text.replace('+00:00', 'Z')


def _is_time(time: float) -> bool:
    return math.isfinite(time) and 0 <= time < 2**37  # until the year 6325


def _known(kind: Any, content: dict[str, Any]) -> dict[str, Any]:
    """Entries of ``content`` that are fields of a dataclass, without null, for which the default is used."""
    return {one.name: content[one.name] for one in fields(kind) if content.get(one.name) is not None}


_OPEN_SHAPE = {'start': float, 'peak': float, 'score': float, 'label?': str, 'zone?': str}
_STATE_SHAPE = {
    'format': str, 'version': int, 'name': str, 'state': str, 'message?': str, 'source?': str, 'size?': [int],
    'source_fps?': float, 'scored_fps?': float, 'read': int, 'scored': int, 'skipped?': int, 'dropped': int,
    'reconnects?': int, 'lag_s?': float, 'latency_median_s?': float, 'latency_p99_s?': float, 'delay_s?': float,
    'score?': float, 'threshold?': float, 'open_event?': _OPEN_SHAPE, 'events?': int, 'clips_deleted?': int,
    'updated': float, 'unwritten?': [{'event': {str: Any}, 'is_open': bool, 'is_told': bool}],
}  # fmt: skip
_EVENT_SHAPE = {
    'camera': str, 'start': float, 'end': float, 'peak': float, 'score': float, 'label?': str, 'reason?': str,
    'zone?': str, 'clip?': str, 'note?': str,
}  # fmt: skip
