"""Reading a camera in a thread of its own: only the newest frame is kept, and a lost source is opened again."""

import io
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import av
import numpy as np
from av.error import FFmpegError

from vadlab.datasets.video.orientation import UPRIGHT, Orientation, orientation_of
from vadlab.datasets.video.video_index import set_up_decoder
from vadlab.utils.av_input import open_input
from vadlab.utils.errors import DataError

from .camera_specs import CameraSpec

#: Pauses before a source is opened again, in seconds; the last one is repeated.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_RANDOM = random.Random()  # of its own: a lost camera must not change the program's random numbers
_OPEN_S = 10.0  # until a source must answer
_STALL_S = 10.0  # without a packet, a source is lost
_STEADY_S = 10.0  # after so long the next loss starts with the shortest pause again
_MOST_BEHIND_S = 1.0
_CATCH_UP_S = 1.0  # if decoding is as far behind after so long, packets are skipped up to the next keyframe
_CAUGHT_UP_S = 0.3
_WAITED_S = 0.002  # a longer wait for a packet shows that none is queued
_NO_KEYFRAME_S = 10.0  # then decoding starts without one: some cameras refresh the picture bit by bit
_JUMP_S = 10.0  # a larger step of time stamps is a new clock, not a delay
_RATE_OVER_S = 5.0
_MOST_DAMAGED = 100  # packets in a row
_URL_OPTIONS = {'fflags': 'nobuffer', 'analyzeduration': '1000000', 'probesize': '1000000'}
_PROTOCOLS = 'rtsp,rtsps,rtp,srtp,rtmp,rtmps,http,https,httpproxy,tcp,udp,tls,srt,crypto'


class SourceError(Exception):
    """A source cannot be read.

    Args:
        message (str): Why, without a password.
        is_final (bool): Trying again does not help: the login was refused, or there is no such video.
    """

    def __init__(self, message: str, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@dataclass(frozen=True)
class LiveFrame:
    """The newest frame of a camera, with those before it that the method needs.

    Attributes:
        frames (tuple[Any, ...]): Decoded frames (``av.VideoFrame``), consecutive, the newest last.
        number (int): Number of the newest one, counted over the whole run.
        arrival (float): When its packet arrived, in seconds of ``time.monotonic``.
        decoded (float): When it was decoded.
        backlog_s (float): Seconds by which the reader was behind its source then.
        size (tuple[int, int]): Height and width of the upright picture with square pixels.
        orientation (Orientation): Turn from the stored picture to the shown one.
        connection (int): Number of the connection; frames of two connections are not consecutive.
    """

    frames: tuple[Any, ...]
    number: int
    arrival: float
    decoded: float
    backlog_s: float
    size: tuple[int, int]
    orientation: Orientation = UPRIGHT
    connection: int = 0


class PacketSink(Protocol):
    """Gets the encoded packets of a camera, in the reader's thread."""

    def connected(self, template: Any) -> None:
        """A stream begins; ``template`` describes its codec."""

    def packet(self, packet: Any, arrival: float) -> None:
        """A packet arrived."""

    def lost(self) -> None:
        """The stream is over."""


class CameraReader(threading.Thread):
    """Reads one camera, and keeps only its newest frame.

    ::

        source -> packets -> (sink for clips) -> decoder -> frames that are due -> the newest one -> take()

    If decoding is slower than the source, packets are skipped up to the next keyframe, so that the newest frame
    is never old. A file is read at its own rate. Frames that are due but replaced before :meth:`take` are counted.

    Args:
        spec (CameraSpec): The camera.
        rate (float): Frames per second that are due for scoring.
        context (int): Consecutive frames that the method needs.
        work (threading.Condition): Is notified when a frame is due.
        sink (PacketSink | None): Gets the packets.
        on_note (Callable | None): Gets texts, such as that the size of the frames changed.
        speed (float): Files are read at this multiple of their rate.
        pauses_s (tuple[float, ...]): Pauses before a source is opened again.
    """

    def __init__(
        self,
        spec: CameraSpec,
        rate: float,
        context: int,
        work: threading.Condition,
        sink: PacketSink | None = None,
        on_note: Callable[[str], None] | None = None,
        speed: float = 1.0,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        super().__init__(name=f'camera {spec.name}', daemon=True)
        self.spec = spec
        self.state, self.message = 'reconnecting', 'is opened'
        self.size: tuple[int, int] | None = None
        self.read = self.dropped = self.skipped = self.reconnects = self.connections = 0
        self.first_try = threading.Event()
        #: Why the source can never be read, if the first try shows this.
        self.final_fault = ''
        self._rate, self._context, self._work = rate, context, work
        self._sink, self._on_note = sink, on_note or (lambda text: None)
        self._speed, self._pauses_s = speed, pauses_s
        self._halt = threading.Event()
        self._newest: LiveFrame | None = None
        self._arrivals: deque[float] = deque(maxlen=256)
        self._waiting: deque[Any] = deque(maxlen=context)
        self._due = self._moment = 0.0
        self._orientation = UPRIGHT
        self._aspect = 1.0  # of a pixel

    # ------------------------------------------------------------------------------------------------- for its user

    def take(self) -> LiveFrame | None:
        """The newest frame that is due, once; None without one."""
        with self._work:
            frame, self._newest = self._newest, None
            return frame

    def stop(self) -> None:
        """Ask the thread to end; it may wait for its source for some seconds."""
        self._halt.set()

    @property
    def has_frame(self) -> bool:
        """Whether :meth:`take` would return a frame."""
        return self._newest is not None

    @property
    def is_over(self) -> bool:
        """Whether no more frames will come."""
        return self.state in ('ended', 'failed')

    @property
    def source_fps(self) -> float | None:
        """Rate at which frames arrived in the last seconds."""
        return rate_of(self._arrivals)

    # ------------------------------------------------------------------------------------------------- the thread

    def run(self) -> None:
        """Read the source until it ends or :meth:`stop` is called."""
        tries = 0
        while not self._halt.is_set():
            began = time.monotonic()
            try:
                self._read_source()
                fault, is_final = '', True  # a file is over, or reading was stopped
                if not self._halt.is_set():
                    self.state, self.message = 'ended', 'the file is over'
            except SourceError as error:
                fault, is_final = str(error), error.is_final
            except Exception as error:  # whatever a library raises must not end a camera without a word
                fault, is_final = f'{type(error).__name__}: {self.spec.hide(str(error))}', False
            if self._sink is not None:
                self._sink.lost()
            self._waiting.clear()
            if self._halt.is_set():
                break
            if fault and is_final and self.connections == 0 and tries == 0:
                self.final_fault = fault
                self.state, self.message = 'failed', fault
            self.first_try.set()
            if self.is_over:
                break
            tries = 0 if time.monotonic() - began > _STEADY_S and self.connections else tries
            pause = self._pauses_s[min(tries, len(self._pauses_s) - 1)] * _RANDOM.uniform(0.8, 1.2)
            tries += 1
            self.state, self.message = 'reconnecting', f'{fault}; next try in {pause:.0f} s'
            self._on_note(f'lost: {fault}; next try in {pause:.0f} s')
            self._halt.wait(pause)
            self.reconnects += 1
        if self._halt.is_set() and not self.is_over:
            self.state, self.message = 'ended', 'stopped'
        self.first_try.set()
        with self._work:
            self._work.notify_all()

    def _read_source(self) -> None:
        if self.spec.kind == 'device' and 'v4l2' not in av.formats_available:
            self._read_device()
            return
        with self._opened() as container:
            stream = container.streams.best('video')
            if stream is None:
                raise SourceError('it has no video stream', is_final=True)
            try:
                set_up_decoder(self.spec.name, stream)
            except DataError as error:
                raise SourceError(str(error), is_final=True) from error
            is_file = self.spec.kind == 'file' or container.duration is not None
            if self._sink is not None:
                self._sink.connected(template_of(stream))
            self._read_packets(container, stream, is_file)
            if not is_file:
                raise SourceError('the source ended')

    def _opened(self) -> Any:
        options = {'protocol_whitelist': 'file'}
        kind = self.spec.kind
        if kind == 'url':
            options = {'protocol_whitelist': _PROTOCOLS, **_URL_OPTIONS}
            if self.spec.address.lower().startswith('rtsp'):
                options['rtsp_transport'] = 'tcp'
        try:
            if kind == 'file' and os.path.isdir(self.spec.address):
                raise SourceError('it is a folder. Name a video, a device or an address', is_final=True)
            return open_input(
                self.spec.address,
                format='v4l2' if kind == 'device' else None,
                options=options if kind != 'device' else {},
                timeout=(_OPEN_S, _STALL_S),
            )
        except (FFmpegError, OSError, ValueError) as error:
            raise self._source_error(error) from error

    def _source_error(self, error: Exception) -> SourceError:
        """Why the source cannot be opened, without its address: FFmpeg's own text has the password."""
        if isinstance(error, av.error.HTTPUnauthorizedError):
            return SourceError('the login was refused (401). Check the user and the password', True)
        if isinstance(error, av.error.HTTPForbiddenError):
            return SourceError('access was refused (403). Check the user and the password', True)
        if isinstance(error, av.error.HTTPNotFoundError):
            return SourceError('there is no such stream (404). Check the path of the address', True)
        if isinstance(error, FileNotFoundError):
            return SourceError('there is no such file', True)
        if isinstance(error, av.error.InvalidDataError):
            return SourceError('it is not a video', True)
        if isinstance(error, av.error.ArgumentError) and self.spec.has_unsafe_login:
            return SourceError(
                'the user or the password has one of / ? #. Write %2F, %3F, %23 in the address instead', True
            )
        if isinstance(error, ConnectionRefusedError):
            return SourceError('nothing listens there (connection refused)')
        if isinstance(error, av.error.ExitError | TimeoutError):
            return SourceError(f'no answer within {_OPEN_S:.0f} s')
        why = self.spec.hide(str(getattr(error, 'strerror', None) or type(error).__name__))
        return SourceError(why, is_final=self.spec.kind != 'url')

    def _read_packets(self, container: Any, stream: Any, is_file: bool) -> None:
        clock = _SourceClock(is_file, self._speed)
        arrivals: dict[int, float] = {}
        began = time.monotonic()
        is_skipping, is_first, damaged, inside = True, True, 0, 0  # inside the decoder, which sorts frames
        tick = float(stream.time_base or 0)
        self._aspect = float(stream.sample_aspect_ratio or 1)
        for packet, waited_s in self._packets(container, stream):
            is_end = packet.size == 0
            if is_end and not is_file:
                break
            if not is_end:
                stamp = packet.dts if packet.dts is not None else packet.pts
                waited_s += clock.wait(None if stamp is None else stamp * tick, self._halt)
                if self._halt.is_set():
                    return
                now = time.monotonic()
                clock.arrived(None if stamp is None else stamp * tick, now, waited_s)
                if packet.pts is not None:
                    arrivals[packet.pts] = now
                    while len(arrivals) > 128:
                        del arrivals[next(iter(arrivals))]
                if self._sink is not None:
                    self._sink.packet(packet, now)
                if not is_skipping and clock.is_too_slow(now):
                    is_skipping = True
                    self._on_note(
                        f'decoding is {clock.backlog_s:.1f} s behind and too slow to catch up; frames up to the next '
                        'keyframe are dropped'
                    )
                if is_skipping:
                    is_late = clock.backlog_s > _CAUGHT_UP_S and not is_first
                    if not (packet.is_keyframe and not is_late) and not (is_first and now - began > _NO_KEYFRAME_S):
                        if not is_first:
                            self.read += 1
                            self.dropped += 1
                        continue
                    is_skipping = False
                    if not is_first:
                        stream.codec_context.flush_buffers()
                        self._waiting.clear()
                        self.read += inside
                        self.dropped += inside
                        inside = 0
                    is_first = False
            try:
                frames = stream.codec_context.decode(None if is_end else packet)
                damaged = 0
                inside += (not is_end) - len(frames)
            except FFmpegError as error:
                damaged += 1
                if damaged > _MOST_DAMAGED:
                    raise SourceError(f'{damaged} damaged packets in a row ({error.strerror})') from error
                continue
            for frame in frames:
                self._add(frame, arrivals.pop(frame.pts, time.monotonic()), clock.backlog_s)

    def _packets(self, container: Any, stream: Any) -> Iterator[tuple[Any, float]]:
        """Packets of a stream, and how long each was waited for, in seconds."""
        packets = container.demux(stream)
        while not self._halt.is_set():
            began = time.monotonic()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.ExitError, TimeoutError) as error:
                raise SourceError(f'no frame for {_STALL_S:.0f} s') from error
            except (FFmpegError, OSError) as error:
                why = self.spec.hide(str(getattr(error, 'strerror', None) or error))
                is_final = self.spec.kind == 'file'
                if is_final:
                    self.state, self.message = 'ended', f'the file is damaged after frame {self.read} ({why})'
                    self._on_note(self.message)
                raise SourceError(f'the connection broke ({why})', is_final) from error
            yield packet, time.monotonic() - began

    def _add(self, frame: Any, arrival: float, backlog_s: float) -> None:
        """Take a decoded frame."""
        now = time.monotonic()
        if self.state != 'live':
            self.connections += 1
            self.state, self.message = 'live', ''
            self._orientation = orientation_of(frame)
            self._arrivals.clear()
            self.first_try.set()
            if self.connections > 1:
                self._on_note('is back')
        self.read += 1
        self._arrivals.append(arrival)
        size = _size_of(frame, self._orientation, self._aspect)
        if size != self.size:
            if self.size is not None:
                old, new = (f'{width}x{height}' for height, width in (self.size, size))
                self._on_note(f'frames are now {new}, not {old}')
                self._waiting.clear()
            self.size = size
        self._waiting.append(frame)
        # Packets of sorted frames come before those of frames that are shown earlier.
        self._moment = max(self._moment, arrival)
        # Half a frame of slack, so that a rate that divides the source's rate is met.
        if self._moment < self._due - 0.5 / (self.source_fps or 25.0) or len(self._waiting) < self._context:
            self.skipped += 1
            return
        self._due = max(self._due + 1 / self._rate, self._moment)
        newest = LiveFrame(
            tuple(self._waiting), self.read - 1, arrival, now, backlog_s, size, self._orientation, self.connections
        )
        with self._work:
            self.dropped += self._newest is not None
            self._newest = newest
            self._work.notify_all()

    def _read_device(self) -> None:
        """Read a device with OpenCV, where FFmpeg's devices are not compiled into PyAV."""
        import cv2

        if not os.path.exists(self.spec.address):
            raise SourceError('there is no such device', is_final=True)
        capture = cv2.VideoCapture(self.spec.address, cv2.CAP_V4L2)
        try:
            if not capture.isOpened():
                raise SourceError('the device cannot be opened. Another program may use it')
            while not self._halt.is_set():
                is_there, picture = capture.read()
                if not is_there:
                    raise SourceError('the device sends no more pictures')
                self._add(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), 'bgr24'), time.monotonic(), 0.0)
        finally:
            capture.release()


class _SourceClock:
    """How far reading is behind its source, and when a packet of a file is due.

    A source is not behind at a packet for which the reader had to wait. From there on, the time of the source (its time
    stamps) and that of the machine are compared. A camera whose clock runs fast or slow does not matter, since the next
    wait comes soon.
    """

    def __init__(self, is_file: bool, speed: float) -> None:
        self.backlog_s = 0.0
        self._is_file, self._speed = is_file, speed
        self._zero: tuple[float, float] | None = None  # a time of the source, and of the machine, without backlog
        self._last: float | None = None
        self._behind: tuple[float, float] | None = None  # since when, and by how much

    def wait(self, stamp_s: float | None, halt: threading.Event) -> float:
        """Wait until a packet of a file is due; return for how long, in seconds."""
        if not self._is_file or stamp_s is None or self._zero is None:
            return 0.0
        began = time.monotonic()
        due = self._zero[1] + (stamp_s - self._zero[0]) / self._speed
        if 0 < due - began < _JUMP_S:
            halt.wait(due - began)
            return time.monotonic() - began
        return 0.0

    def arrived(self, stamp_s: float | None, now: float, waited_s: float) -> None:
        """A packet arrived after a wait."""
        if stamp_s is None:
            return
        is_new_clock = self._last is None or not -1.0 <= stamp_s - self._last < _JUMP_S
        self._last = stamp_s
        if self._zero is None or is_new_clock or (not self._is_file and waited_s > _WAITED_S):
            self._zero = (stamp_s, now)
        speed = self._speed if self._is_file else 1.0
        self.backlog_s = max(now - self._zero[1] - (stamp_s - self._zero[0]) / speed, 0.0)

    def is_too_slow(self, now: float) -> bool:
        """Whether decoding is behind and does not catch up; after a short stall of the machine it does."""
        if self.backlog_s <= _MOST_BEHIND_S:
            self._behind = None
        elif self._behind is None:
            self._behind = now, self.backlog_s
        elif now - self._behind[0] > _CATCH_UP_S:
            is_slow = self.backlog_s > 0.75 * self._behind[1]
            self._behind = None if is_slow else (now, self.backlog_s)
            return is_slow
        return False


def rate_of(times: deque[float], over_s: float = _RATE_OVER_S) -> float | None:
    """Events per second in the last seconds, from their times; None for fewer than two."""
    recent = [one for one in list(times) if one > time.monotonic() - over_s]
    if len(recent) < 2 or recent[-1] <= recent[0]:
        return None
    return (len(recent) - 1) / (recent[-1] - recent[0])


def template_of(stream: Any) -> Any:
    """A stream that describes the codec of ``stream``, and that stays valid when its source is closed."""
    keeper = av.open(io.BytesIO(), 'w', format='matroska')
    return keeper.add_stream_from_template(stream, opaque=True)


def _size_of(frame: Any, orientation: Orientation, aspect: float) -> tuple[int, int]:
    """Height and width of the upright picture with square pixels, as ``VideoIndex`` has them."""
    aspect = aspect if 0.1 <= aspect <= 10 else 1.0
    return orientation.size(frame.height, max(round(frame.width * aspect), 1))
