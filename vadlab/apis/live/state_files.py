"""Writes the folders of cameras once a second, in a thread of its own, so that a slow disk never delays a score."""

import fcntl
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import simplejpeg
from av.video.reformatter import VideoReformatter

from vadlab.datasets.video.pyav_reader import upright_picture
from vadlab.structures.camera_state import (
    MOST_PICTURE_WIDTH,
    PICTURE_FILE,
    CameraEvent,
    CameraState,
    UnwrittenEvent,
    append_event,
    cameras_in,
    load_events,
    save_curve,
)
from vadlab.utils.atomic import write_bytes
from vadlab.utils.errors import ConfigError, DataError

from .camera import Camera
from .camera_reader import LiveFrame
from .clips import ClipWriter

_EVERY_S = 1.0
_CURVE_EVERY_S = 5.0
_MOST_WAITING = 1000  # events, while the disk is full
_LOG_BYTES = 5 * 10**6
LOG_FILE = 'watch.log'
_LOCK_FILE = '.watch.lock'


class StateFiles(threading.Thread):
    """Writes ``status.json``, ``latest.jpg``, ``curve.json`` and ``events.jsonl`` of all cameras.

    If the disk is full, this is told once, and everything is tried again each second; up to 1,000 events wait for it.

    Args:
        cameras (Sequence[Camera]): The cameras, with folders.
        writer (ClipWriter | None): Counts deleted clips.
        on_note (Callable): Gets texts about what went wrong.
    """

    def __init__(self, cameras: Sequence[Camera], writer: ClipWriter | None, on_note: Callable[[str], None]) -> None:
        super().__init__(name='state files', daemon=True)
        #: Why files could not be written; empty if they could.
        self.fault = ''
        self.lost_events = 0
        self._cameras, self._writer, self._on_note = cameras, writer, on_note
        self._halt = False
        self._is_due = threading.Event()
        self._events: deque[tuple[Path, CameraEvent, bool]] = deque()
        self._pictures: dict[str, tuple[VideoReformatter, LiveFrame | None]] = {}
        self._last_curve = 0.0

    def add_event(self, folder: Path, event: CameraEvent, is_told: bool) -> None:
        """Queue a line of ``events.jsonl``; an alarm was given for the event, or not."""
        if len(self._events) >= _MOST_WAITING:
            self._events.popleft()
            self.lost_events += 1
        self._events.append((folder, event, is_told))

    def write_soon(self) -> None:
        """Write now instead of in a second: what is on the disk survives a kill of the process."""
        self._is_due.set()

    def run(self) -> None:
        """Write once a second until :meth:`stop`."""
        while True:
            self._is_due.wait(_EVERY_S)
            self._is_due.clear()
            if self._halt:
                return
            self.write()

    def stop(self, timeout_s: float) -> None:
        """Write everything once more."""
        self._halt = True
        self._is_due.set()
        self.join(timeout_s)
        if not self.is_alive():
            self._last_curve = 0.0
            self.write()
            if self._events:
                self._on_note(f'{len(self._events)} events could not be written to {self._events[0][0]}')

    def write_events(self) -> None:
        """Write the lines of ``events.jsonl`` that wait.

        Raises:
            OSError: One cannot be written; it and those after it stay.
        """
        while self._events:
            folder, event, _ = self._events[0]
            append_event(folder, event)
            self._events.popleft()

    def write(self) -> None:
        """Write all files now."""
        try:
            self.write_events()
            with_curve = time.monotonic() - self._last_curve >= _CURVE_EVERY_S
            for camera in self._cameras:
                self._write_camera(camera, with_curve)
            if with_curve:
                self._last_curve = time.monotonic()
        except OSError as error:
            why = f'{error.filename or ""}: {error.strerror}'.lstrip(': ')
            if self.fault != why:
                self._on_note(f'files cannot be written: {why}; tried again each second')
            self.fault = why
            return
        if self.fault:
            self._on_note('files can be written again')
        self.fault = ''

    def _write_camera(self, camera: Camera, with_curve: bool) -> None:
        folder = camera.folder
        assert folder is not None
        deleted, fault = 0, ''
        if self._writer is not None:
            deleted = self._writer.deleted_of.get(folder, 0)
            fault = f'clips are not saved: {self._writer.fault}' if self._writer.fault else ''
        state = camera.state(deleted, fault)
        # Events that came after the last write of lines. Camera.state is called first: an event is in one of both.
        waiting = [UnwrittenEvent(event, False, is_told) for of, event, is_told in [*self._events] if of == folder]
        replace(state, unwritten=(*state.unwritten, *waiting)).save(folder)
        if with_curve:
            save_curve(folder, camera.curve())
        reformatter, last = self._pictures.get(camera.name) or (VideoReformatter(), None)
        frame = camera.newest
        if frame is not None and frame is not last:
            write_bytes(folder / PICTURE_FILE, small_picture(frame, reformatter))
        self._pictures[camera.name] = reformatter, frame


def events_of_killed_run(
    out: Path, on_note: Callable[[str], None], most: int = _MOST_WAITING
) -> list[tuple[Path, CameraEvent, bool]]:
    """Events that an earlier run into this folder began and did not write, since it was killed.

    Args:
        out (Path): Folder of the run.
        on_note (Callable): Gets texts about states that cannot be read.
        most (int): Number of written events per camera that are compared, at most.

    Returns:
        list[tuple[Path, CameraEvent, bool]]: Folder of the camera, the event with a note that it was cut or has no
        clip, and whether an alarm was given when it began.
    """
    found = []
    for name in cameras_in(out):
        folder = out / name
        try:
            unwritten = CameraState.load(folder).unwritten
            written = {event.start for event in load_events(folder, most)[0]} if unwritten else set()
        except DataError as error:
            on_note(f'events that were open when the last run ended cannot be found: {error}')
            continue
        # An event that was just over may be there twice, as open and as over: the latter counts.
        for one in {one.event.start: one for one in sorted(unwritten, key=lambda one: not one.is_open)}.values():
            if one.event.start in written:
                continue
            clip, notes = one.event.clip, [one.event.note]
            if one.is_open:
                notes.insert(0, 'cut: watching was killed')
            if clip is not None and not (folder / clip).is_file():
                clip = None
                notes.append('no clip: watching was killed before it was complete')
            note = '; '.join(text for text in notes if text)
            found.append((folder, replace(one.event, clip=clip, note=note), one.is_told))
    return found


def small_picture(frame: LiveFrame, reformatter: VideoReformatter) -> bytes:
    """The picture of a frame as JPEG, upright, at most 480 pixels wide."""
    height, width = frame.size
    scale = min(MOST_PICTURE_WIDTH / width, 1.0)
    shown = max(round(height * scale), 1), max(round(width * scale), 1)
    picture = upright_picture(frame.frames[-1], frame.orientation, shown, 'area', reformatter)
    return simplejpeg.encode_jpeg(picture, quality=80, colorspace='RGB')


def lock_folder(out: Path) -> IO[str]:
    """Lock a folder for this process, until the returned file is closed.

    Raises:
        ConfigError: Another process watches into this folder.
    """
    file = (out / _LOCK_FILE).open('w')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ConfigError(f'--out {out}: another tools/watch.py writes there. Choose another folder.') from error
    return file


def open_log(out: Path) -> logging.Handler:
    """A handler that writes ``watch.log``, at most 3 files of 5 MB, with times in UTC."""
    handler = RotatingFileHandler(out / LOG_FILE, maxBytes=_LOG_BYTES, backupCount=2, encoding='utf-8')
    formatter = logging.Formatter('%(asctime)s.%(msecs)03dZ %(message)s', '%Y-%m-%dT%H:%M:%S')
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler
