"""Clips of events, with the seconds before: the camera's own packets, put into mp4 files without encoding.

Packets are kept, not pictures: keeping them takes no time, they are small (10 s of a camera of 4 Mbit/s are 5 MB), and
the clip has the full quality. The price: a clip starts at a keyframe, and it plays where its codec plays (H.264 plays
everywhere).
"""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from vadlab.structures.camera_state import CLIPS_FOLDER
from vadlab.utils.atomic import part_of

_MOST_RING_BYTES = 64 * 2**20  # per camera, of the seconds before an event
_MOST_WAITING_BYTES = 64 * 2**20  # per camera, that wait for a slow disk


@dataclass(frozen=True)
class _Packet:
    data: bytes = field(repr=False)
    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    time_base: Any
    arrival: float


@dataclass
class Clip:
    """A clip that is being recorded.

    Attributes:
        name (str): Path below the folder of the camera.
        folder (Path): Folder of the camera.
        template (Any): Describes the codec.
        until (float): Last arrival that belongs to it, in seconds of ``time.monotonic``.
        fault (str): Why there is no clip, or why it is cut; empty without a fault.
    """

    name: str
    folder: Path
    template: Any
    until: float
    fault: str = ''
    is_saved: bool = False
    waiting_bytes: int = 0
    is_event_over: bool = False
    is_finished: bool = False
    on_finished: Callable[['Clip'], None] | None = None


class ClipRecorder:
    """Keeps the last seconds of a camera's packets, and hands those of events to a :class:`ClipWriter`.

    Args:
        folder (Path): Folder of the camera.
        writer (ClipWriter): Writes the clips of all cameras.
        before_s (float): Seconds before the event is certain.
        after_s (float): Seconds after its end.
        most_s (float): Longest clip, in seconds, without the part before.
        clock (Callable): The clock of arrivals.
    """

    def __init__(
        self,
        folder: Path,
        writer: 'ClipWriter',
        before_s: float,
        after_s: float,
        most_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.folder = folder
        self.before_s, self.after_s, self.most_s = before_s, after_s, most_s
        self._writer = writer
        self._lock = threading.Lock()
        self._template: Any = None
        self._ring: deque[_Packet] = deque()
        self._ring_bytes = 0
        self._clip: Clip | None = None
        self._is_connected = False

    # the reader's thread ---------------------------------------------------------------------------------------------

    def connected(self, template: Any) -> None:
        """A stream begins."""
        with self._lock:
            self._close('')
            self._template = template
            self._is_connected = True
            self._ring.clear()
            self._ring_bytes = 0

    def packet(self, packet: Any, arrival: float) -> None:
        """Keep a packet."""
        kept = _Packet(
            bytes(packet), packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, packet.time_base, arrival
        )
        with self._lock:
            self._ring.append(kept)
            self._ring_bytes += len(kept.data)
            self._forget(arrival - self.before_s)
            clip = self._clip
            if clip is None:
                return
            if arrival > clip.until:
                self._close('' if clip.is_event_over else f'the clip has only the first {self.most_s:g} s')
            elif clip.waiting_bytes > _MOST_WAITING_BYTES:
                self._close('the clip is cut: the disk is too slow')
            else:
                self._writer.add(clip, kept)

    def lost(self) -> None:
        """The stream is over. Its packets are kept, since its last frames may not be scored yet."""
        with self._lock:
            self._close('')
            self._is_connected = False

    # the scoring thread ----------------------------------------------------------------------------------------------

    def begin(self, start: float) -> Clip | None:
        """Start the clip of an event that is certain; None without a stream that can be stored.

        Args:
            start (float): When the event began, in seconds since 1970, for the name of the file.
        """
        with self._lock:
            if self._clip is not None:
                self._close('')  # an event begins in the seconds after another one
            first = next((place for place, packet in enumerate(self._ring) if packet.is_key), None)
            if self._template is None or first is None:
                return None
            stamp = datetime.fromtimestamp(start, UTC).strftime('%Y%m%dT%H%M%S')
            name = f'{CLIPS_FOLDER}/{stamp}-{int(start * 1000) % 1000:03d}Z.mp4'
            clip = Clip(name, self.folder, self._template, self._clock() + self.most_s)
            self._writer.open(clip)
            for packet in list(self._ring)[first:]:
                self._writer.add(clip, packet)
            self._clip = clip
            if not self._is_connected:
                self._close('')  # no packet will follow
            return clip

    def end(self, clip: Clip, on_finished: Callable[[Clip], None]) -> None:
        """The event is over: some seconds more, then the clip is closed.

        Args:
            clip (Clip): The clip.
            on_finished (Callable): Is called once, when the clip is saved or given up; maybe in another thread.
        """
        with self._lock:
            clip.until = min(clip.until, self._clock() + self.after_s)
            clip.is_event_over = True
            if self._clip is clip and self.after_s <= 0:
                self._close('')
        self._writer.when_finished(clip, on_finished)

    def stop(self) -> None:
        """Close the clip now."""
        with self._lock:
            self._close('')

    def _close(self, fault: str) -> None:
        clip, self._clip = self._clip, None
        if clip is not None:
            clip.fault = clip.fault or fault
            self._writer.close(clip)

    def _forget(self, before: float) -> None:
        """Drop whole groups of packets that are older than wanted, or too many."""
        while True:
            keys = [place for place, packet in enumerate(self._ring) if packet.is_key][:2]
            next_key = keys[1] if len(keys) > 1 else None
            if next_key is not None and self._ring[next_key].arrival <= before:
                drop = next_key
            elif self._ring_bytes > _MOST_RING_BYTES:
                drop = next_key or len(self._ring)
            elif keys and keys[0] > 0:
                drop = keys[0]
            else:
                return
            for _ in range(drop):
                self._ring_bytes -= len(self._ring.popleft().data)


class ClipWriter(threading.Thread):
    """Writes the clips of all cameras in a thread of its own, and keeps their disk budget.

    A clip is written to a hidden file and renamed when it is complete. Before each clip and after it, the oldest clips
    are deleted until all of them fit into the budget. If the disk is full, the clip is given up.

    Args:
        folders (list[Path]): Folders of all cameras.
        budget_bytes (int): For the clips of all cameras together.
        on_note (Callable): Gets texts about what went wrong.
    """

    def __init__(self, folders: list[Path], budget_bytes: int, on_note: Callable[[str], None]) -> None:
        super().__init__(name='clips', daemon=True)
        self.folders, self.budget_bytes = folders, budget_bytes
        self.deleted = self.saved = self.failed = 0
        self.deleted_of: dict[Path, int] = {}
        #: Why the last clip could not be saved; empty once one is saved again.
        self.fault = ''
        self._on_note = on_note
        self._jobs: queue.Queue[tuple[str, Clip | None, _Packet | None]] = queue.Queue()
        self._open: dict[int, _OpenFile] = {}
        self._lock = threading.Lock()
        for folder in folders:
            for part in (folder / CLIPS_FOLDER).glob('.*.part'):  # of a run that was killed
                part.unlink(missing_ok=True)

    # from other threads ----------------------------------------------------------------------------------------------

    def open(self, clip: Clip) -> None:
        """Start a clip."""
        self._jobs.put(('open', clip, None))

    def add(self, clip: Clip, packet: _Packet) -> None:
        """Add a packet to a clip."""
        with self._lock:
            clip.waiting_bytes += len(packet.data)
        self._jobs.put(('add', clip, packet))

    def close(self, clip: Clip) -> None:
        """Finish a clip."""
        self._jobs.put(('close', clip, None))

    def when_finished(self, clip: Clip, call: Callable[[Clip], None]) -> None:
        """Call a function once the clip is saved or given up, at once if it is."""
        with self._lock:
            if not clip.is_finished:
                clip.on_finished = call
                return
        call(clip)

    def stop(self, timeout_s: float) -> None:
        """Write what waits, and end the thread."""
        self._jobs.put(('stop', None, None))
        self.join(timeout_s)

    # the thread ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the jobs in their order."""
        while True:
            job, clip, packet = self._jobs.get()
            if clip is None:
                for file in list(self._open.values()):
                    self._finish(file.clip)
                return
            try:
                if job == 'open':
                    self.make_room()
                    self._open[id(clip)] = _OpenFile(clip)
                elif job == 'add' and packet is not None:
                    with self._lock:
                        clip.waiting_bytes -= len(packet.data)
                    if id(clip) in self._open:
                        self._open[id(clip)].add(packet)
                elif job == 'close':
                    self._finish(clip)
            except (OSError, FFmpegError, ValueError) as error:
                self._give_up(clip, error)

    def _finish(self, clip: Clip) -> None:
        file = self._open.pop(id(clip), None)
        if file is not None:
            try:
                file.save()
                clip.is_saved = True
                self.saved += 1
                self.fault = ''
                self.make_room(keep=clip.folder / clip.name)
            except (OSError, FFmpegError, ValueError) as error:
                self._open[id(clip)] = file
                self._give_up(clip, error)
        self._tell(clip)

    def _tell(self, clip: Clip) -> None:
        with self._lock:
            if clip.is_finished:
                return
            clip.is_finished = True
            call = clip.on_finished
        if call is not None:
            call(clip)

    def _give_up(self, clip: Clip, error: Exception) -> None:
        file = self._open.pop(id(clip), None)
        if file is not None:
            file.abandon()
        why = getattr(error, 'strerror', None) or str(error)
        clip.fault = f'no clip: {why}'
        self.failed += 1
        if self.fault != clip.fault:
            self._on_note(f'{clip.folder / clip.name}: {clip.fault}')
        self.fault = clip.fault

    def make_room(self, keep: Path | None = None) -> None:
        """Delete the oldest clips until all fit into the budget."""
        found = []
        for folder in self.folders:
            for path in (folder / CLIPS_FOLDER).glob('*.mp4'):
                try:
                    stat = path.stat()
                except OSError:
                    continue
                found.append((stat.st_mtime, stat.st_size, path, folder))
        total = sum(size for _, size, _, _ in found)
        for _, size, path, folder in sorted(found, key=lambda one: one[0]):
            if total <= self.budget_bytes:
                return
            if path == keep:
                continue
            try:
                path.unlink()
            except OSError as error:
                self._on_note(f'{path} cannot be deleted: {error.strerror}')
                continue
            total -= size
            self.deleted += 1
            self.deleted_of[folder] = self.deleted_of.get(folder, 0) + 1


class _OpenFile:
    """The mp4 file of a clip while it is written."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.path = clip.folder / clip.name
        self.part = part_of(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._zero: int | None = None
        self._last_dts: int | None = None
        self._file = self.part.open('wb', buffering=0)  # so that a full disk is an error at once
        try:
            self._out = av.open(self._file, 'w', format='mp4')
            self._stream = self._out.add_stream_from_template(clip.template, opaque=True)
        except BaseException:
            self._file.close()
            self.part.unlink(missing_ok=True)
            raise

    def add(self, packet: _Packet) -> None:
        """Add a packet; times start at 0."""
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None or (self._last_dts is not None and dts <= self._last_dts):
            return  # mp4 needs ascending times
        if self._zero is None:
            self._zero = packet.pts if packet.pts is not None else dts  # sorted packets have a dts below their pts
        self._last_dts = dts
        out = av.Packet(packet.data)
        out.dts = dts - self._zero
        out.pts = max((packet.pts if packet.pts is not None else dts) - self._zero, out.dts)
        out.duration, out.time_base, out.is_keyframe = packet.duration, packet.time_base, packet.is_key
        out.stream = self._stream
        self._out.mux(out)

    def save(self) -> None:
        """Complete the file and give it its name."""
        if self._zero is None:
            raise ValueError('no packet could be stored')
        self._out.close()
        self._file.close()
        os.replace(self.part, self.path)

    def abandon(self) -> None:
        """Remove what was written."""
        for close in (self._out.close, self._file.close):
            try:
                close()
            except (OSError, FFmpegError, ValueError):
                pass
        self.part.unlink(missing_ok=True)
