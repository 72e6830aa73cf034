"""Index of a video's packets and frames, from demuxing it once without decoding."""

import errno
import functools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from vadlab.utils.av_input import open_input, video_stream

from ...utils.errors import DISK_IS_FULL, MissingFileError
from ...utils.required_files import no_file_advice
from ...utils.run_log import log
from .damage import SkippedBytes, check_transport_stream
from .errors import DamagedVideoError
from .frame_folder import check_frame_numbers, frame_files
from .image_reader import read_image
from .orientation import UPRIGHT, Orientation, orientation_of

# Only in these containers are time stamps of packets reliable enough for planning.
_PLANNABLE_CONTAINERS = {'mp4', 'matroska'}
_LOCAL_FILES_ONLY = {'protocol_whitelist': 'file'}
_UNKNOWN_FPS = 25.0
_HELD_BYTES = 8_000_000  # of the largest file that is held
# Errors of the machine, not of the file; the disk is that of a file which is written meanwhile.
_OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, *DISK_IS_FULL)
_NO_PTS: np.ndarray = np.zeros(0, np.int64)
_WIDEST_PIXEL = 10.0  # times its height; larger ratios, or smaller than the inverse, are errors in the file


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """Frame count, size and rate of a video, and its packets in decoding order (P of them).

    Attributes:
        path: The file.
        total_frames: Number of decoded frames, exact, >= 1; without ``is_counted`` the number of packets.
        fps: Frames per second, > 0.
        height: Height of the picture as a player shows it, turned and with square pixels, in pixels.
        width: Its width, in pixels.
        why_sequential: Why the packets cannot be used to plan a sparse decode; empty if they can.
        packet_pts: Presentation time stamps, int64, shape (P,); empty if ``why_sequential`` is set.
        packet_is_key: Packets at which decoding can start, bool, shape (P,).
        packet_of_frame: Index of the packet of each shown frame, int64, shape (total_frames,).
        is_counted: Whether ``total_frames`` is exact.
        tick_s: Length of one step of ``packet_pts``, in seconds.
        orientation: Turn from stored pictures to shown ones.
        pixel_aspect: Width of a stored pixel divided by its height, > 0.
        shown_pts: With ``why_sequential``, and a rate that is not constant: time stamps of the frames, int64, shape
            (total_frames,), ascending; else empty.
    """

    path: str
    total_frames: int
    fps: float
    height: int
    width: int
    why_sequential: str
    packet_pts: np.ndarray
    packet_is_key: np.ndarray
    packet_of_frame: np.ndarray
    is_counted: bool = True
    tick_s: float = 0.0
    orientation: Orientation = UPRIGHT
    pixel_aspect: float = 1.0
    shown_pts: np.ndarray = field(default_factory=lambda: _NO_PTS)

    @property
    def frame_times(self) -> np.ndarray:
        """Presentation time of each frame, in seconds from the first one, float64, shape (total_frames,), ascending.

        From the time stamps of packets or frames if these are reliable; else for a constant rate.
        """
        has_stamps = len(self.shown_pts) or not self.why_sequential
        if not has_stamps or not self.tick_s:
            return np.arange(self.total_frames) / self.fps
        shown = self.shown_pts if self.why_sequential else self.packet_pts[self.packet_of_frame]
        return (shown - shown[0]) * self.tick_s

    def clock(self, total: int, folder_fps: float) -> tuple[float, np.ndarray]:
        """Rate and presentation times of a video's frames.

        Args:
            total: Number of frames. If ``total_frames`` is another number, since it is not exact, times follow from the
                rate.
            folder_fps: Rate of a folder of frames, which has none of its own.

        Returns:
            Frames per second; and times in seconds, float64, shape (total,).
        """
        if os.path.isdir(self.path):
            return folder_fps, np.arange(total) / folder_fps
        times = self.frame_times
        return self.fps, times if len(times) == total else np.arange(total) / self.fps

    @property
    def duration_s(self) -> float:
        """Duration up to the end of the last frame, in seconds, > 0."""
        return float(self.frame_times[-1]) + 1 / self.fps

    @property
    def keyframe_inds(self) -> np.ndarray:
        """Frames at which decoding can start, int64, ascending."""
        return np.flatnonzero(self.packet_is_key[self.packet_of_frame])


@dataclass
class HeldVideo:
    """A small video that stays open since it was indexed, to be decoded once, in any thread.

    Attributes:
        index: Its index.
        codec: Its decoder.
        packets: All of its packets, in decoding order.
        opened: Closes the file; FFmpeg's errors within it become DamagedVideoError.
    """

    index: VideoIndex
    codec: Any
    packets: list[Any]
    opened: ExitStack


@contextmanager
def open_media(path: str) -> Iterator[Any]:
    """Open a file of pictures or sound; FFmpeg's errors, here or later in the block, become DamagedVideoError.

    Yields:
        The container.

    Raises:
        MissingFileError: There is no such file.
        DamagedVideoError: It is empty, not a video, not readable for this user, or FFmpeg fails.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no video {path}{no_file_advice(path)}')
    if os.path.getsize(path) == 0:
        raise DamagedVideoError(f'{path}: the file is empty (zero bytes)')
    try:
        with open_input(path, options=dict(_LOCAL_FILES_ONLY)) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        if error.errno in _OF_THE_MACHINE:
            raise OSError(error.errno, os.strerror(error.errno), path) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise DamagedVideoError(f'{path}: cannot be read ({os.strerror(error.errno)})') from error
        raise DamagedVideoError(f'{path}: damaged, or not a video ({error.strerror or error})') from error


@contextmanager
def open_video(path: str) -> Iterator[tuple[Any, Any]]:
    """Open a video for one thread.

    Yields:
        The container and its best video stream.

    Raises:
        MissingFileError, DamagedVideoError: See :func:`open_media`; also DamagedVideoError if there is no video stream.
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            cover = ', only a cover picture' if container.streams.video else ''
            raise DamagedVideoError(f'{path}: contains no video stream{cover}')
        set_up_decoder(path, stream)
        yield container, stream


@contextmanager
def open_packets(path: str, held: HeldVideo | None = None) -> Iterator[tuple[Any, Iterable[Any]]]:
    """Open a video for one thread, or go on with one that is open.

    Yields:
        The decoder, and the packets of the best video stream in decoding order.

    Raises:
        MissingFileError, DamagedVideoError: See :func:`open_video`.
    """
    if held is not None:
        with held.opened:
            yield held.codec, held.packets
        return
    with open_video(path) as (container, stream):
        yield stream.codec_context, (packet for packet in container.demux(stream) if packet.size)


def set_up_decoder(path: str, stream: Any) -> None:
    """Set up a stream to be decoded in one thread.

    Raises:
        DamagedVideoError: FFmpeg has no decoder for it.
    """
    if stream.codec_context is None:
        raise DamagedVideoError(f'{path}: FFmpeg does not know the codec of its {stream.type} stream')
    stream.codec_context.thread_count = 1


def index_video(path: str, remember: bool = True, count: bool = True) -> VideoIndex:
    """Index a video; the index of an unchanged file is cached.

    Demuxing takes about 3 microseconds per frame. If the packets do not give the frame count (see
    :attr:`VideoIndex.why_sequential`), the whole file is decoded once to count.

    Args:
        path: The file, or a folder with one image per frame, in natural order of names; 25 fps by default.
        remember: Cache the index, about 25 bytes per frame.
        count: Decode the file if only that gives the frame count; otherwise ``is_counted`` may be False.

    Raises:
        MissingFileError: There is no such file.
        DamagedVideoError: It is empty, cut short, not a video, or a folder with a gap in the numbers of its frames.
    """
    if os.path.isdir(path):
        return _index_folder(os.fspath(path), os.stat(path).st_mtime_ns)
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no video {path}{no_file_advice(path)}')
    stat = os.stat(path)
    index = _index_video if remember else _index_video.__wrapped__
    return index(os.fspath(path), stat.st_size, stat.st_mtime_ns, count)


def hold_video(path: str) -> HeldVideo | None:
    """Index a small video that is to be read once, and keep it open.

    Returns:
        The open video; None if the file is large, is a folder, or a sparse decode cannot be planned.

    Raises:
        DamagedVideoError: See :func:`index_video`.
    """
    if not os.path.isfile(path) or (size := os.path.getsize(path)) > _HELD_BYTES:
        return None
    packets: list[Any] = []
    with ExitStack() as stack:
        container, stream = stack.enter_context(open_video(path))
        index = _index_of(path, size, container, stream, False, packets)
        return None if index.why_sequential else HeldVideo(index, stream.codec_context, packets, stack.pop_all())


@functools.lru_cache(maxsize=512)
def _index_video(path: str, size: int, mtime_ns: int, count: bool) -> VideoIndex:
    with open_video(path) as (container, stream):
        return _index_of(path, size, container, stream, count, None)


def _index_of(path: str, size: int, container: Any, stream: Any, count: bool, kept: list[Any] | None) -> VideoIndex:
    """Index an open video; its packets are added to ``kept``, if that is given."""
    pts: list[int] = []
    is_key: list[bool] = []
    is_discard: list[bool] = []
    missing_pts = new_extradata = False
    first_frame = None
    _check_not_cut(path, size, container.format.name)
    pixel_aspect = float(stream.sample_aspect_ratio or 1)
    is_mkv, is_avi = 'matroska' in container.format.name, container.format.name == 'avi'
    skipped = SkippedBytes(path, container.format.name) if is_mkv or is_avi else None
    for packet in container.demux(stream) if skipped is None else container.demux():
        if skipped is not None:
            skipped(packet)
        if packet.size == 0 or packet.stream_index != stream.index:  # size 0: the flush packet at the end
            continue
        if packet.is_corrupt:
            raise DamagedVideoError(f'{path}: cut short, or damaged at packet {len(pts)}')
        missing_pts |= packet.pts is None
        new_extradata |= bool(is_key) and packet.has_sidedata('new_extradata')
        pts.append(packet.pts or 0)
        is_key.append(packet.is_keyframe)
        is_discard.append(packet.is_discard)
        if first_frame is None and packet.is_keyframe:
            first_frame = _frame_of(stream.codec_context, packet)
        if kept is not None:
            kept.append(packet)
    fps = stream.average_rate or stream.guessed_rate or stream.base_rate or _UNKNOWN_FPS
    names = set(container.format.name.split(','))
    height, width = stream.codec_context.height, stream.codec_context.width
    orientation = UPRIGHT if first_frame is None else orientation_of(first_frame)
    tick_s = float(stream.time_base)
    length_s = (container.duration or 0) / av.time_base if is_mkv else 0.0
    if not pts:
        raise DamagedVideoError(f'{path}: contains no frames')
    _check_read_to_end(path, np.sort(np.array(pts, np.int64)) * tick_s, length_s)
    # An AVI file may have long indexes between its packets.
    if skipped is not None and (is_mkv or len(pts) < stream.frames) and (place := skipped.place()) is not None:
        raise DamagedVideoError(f'{path}: damaged at byte {place} of {size}')
    if 'mp4' in container.format.name and len(pts) < stream.frames:
        _check_all_read(path, stream.index)
    if not height or not width:
        raise DamagedVideoError(f'{path}: the size of its pictures is not known')
    if not 1 / _WIDEST_PIXEL <= pixel_aspect <= _WIDEST_PIXEL:
        pixel_aspect = 1.0
    height, width = orientation.size(height, max(round(width * pixel_aspect), 1))

    times, keys, shown = np.array(pts, np.int64), np.array(is_key, bool), ~np.array(is_discard, bool)
    has_times = not missing_pts and len(np.unique(times)) == len(times)
    why = ''
    if not names & _PLANNABLE_CONTAINERS:
        why = f'the container is {min(names)}, neither mp4 nor mkv'
    elif not has_times:
        why = 'time stamps are missing or double'
    elif new_extradata:
        why = 'the decoder is set up again within the file'
    elif not keys[0] or times.min() < times[0]:
        # Leading pictures of the first group refer to frames that are not in the file.
        why = 'the file starts in the middle of a group of pictures'
    elif not shown.any():
        why = 'an edit list hides every packet'

    shown_pts, mean_fps = _NO_PTS, float(fps)
    if why:
        first = int(keys.argmax())
        whole = shown[first:] & ((times[first:] >= times[first]) | (not has_times))
        stamps: np.ndarray | None = np.sort(times) if has_times else None
        total = len(times)
        if count:
            total, stamps = _count_by_decoding(path, int(whole.sum()), is_avi)
        if stamps is not None:
            shown_pts, mean_fps = _variable(stamps, tick_s, mean_fps)
        elif count:
            log(f'{path}: time stamps are missing or go back, so times are those of {mean_fps:g} frames per second')
        times, keys, of_frame = _NO_PTS, _NO_PTS.astype(bool), _NO_PTS
    else:
        of_frame = np.flatnonzero(shown)
        of_frame = of_frame[np.argsort(times[of_frame])]
        total = len(of_frame)
    counted = count or not why
    shown_as = (orientation, pixel_aspect, shown_pts)
    return VideoIndex(path, total, mean_fps, height, width, why, times, keys, of_frame, counted, tick_s, *shown_as)


@functools.lru_cache(maxsize=512)
def _index_folder(path: str, mtime_ns: int) -> VideoIndex:
    files = frame_files(path)
    check_frame_numbers(path, map(os.path.basename, files))
    height, width = read_image(files[0]).shape[:2]
    why = 'it is a folder of images'
    return VideoIndex(path, len(files), _UNKNOWN_FPS, height, width, why, _NO_PTS, _NO_PTS.astype(bool), _NO_PTS)


def _frame_of(codec: Any, packet: Any) -> Any:
    """Decode the frame of a keyframe packet; None if it is damaged, which the later decoding reports."""
    try:
        return next(iter(codec.decode(packet) or codec.decode(None)), None)
    except av.error.FFmpegError:
        return None
    finally:
        codec.flush_buffers()


def _variable(stamps: np.ndarray, tick_s: float, fps: float) -> tuple[np.ndarray, float]:
    """Time stamps and mean rate of a video; without time stamps if they are those of its constant rate, rounded."""
    seconds = (stamps - stamps[0]) * tick_s
    if len(stamps) < 2 or np.abs(seconds - np.arange(len(stamps)) / fps).max() <= tick_s:
        return _NO_PTS, fps
    return stamps, (len(stamps) - 1) / float(seconds[-1])


def _count_by_decoding(path: str, n_packets: int, is_avi: bool) -> tuple[int, np.ndarray | None]:
    """Number of frames that are decoded, and their time stamps; None if these are missing, or do not ascend.

    Args:
        path (str): The file.
        n_packets (int): Packets that give a frame, if the file is not damaged.
        is_avi (bool): It is an AVI file: its time stamps are in the order of decoding.

    Raises:
        DamagedVideoError: Packets are so damaged that they give no frame.
    """
    total = n_damaged = 0
    has_begun = False
    stamps: list[int] = []
    with open_video(path) as (container, stream):
        for frame in container.decode(stream):
            total += 1
            if frame.pts is not None and frame.time_base == stream.time_base:
                stamps.append(frame.pts)
            has_begun |= bool(frame.key_frame)  # the file may start in the middle of a group of pictures
            n_damaged += has_begun and frame.is_corrupt
    if not total:
        raise DamagedVideoError(f'{path}: not one frame can be decoded')
    if (n_damaged and total < n_packets) or total < n_packets // 3:
        raise DamagedVideoError(f'{path}: damaged, {n_packets} packets give only {total} frames')
    shown = np.array(sorted(stamps) if is_avi else stamps, np.int64)
    return total, shown if len(shown) == total and (np.diff(shown) > 0).all() else None


def _check_read_to_end(path: str, times: np.ndarray, length_s: float) -> None:
    """Detect damage inside a Matroska file, after which FFmpeg finds no packets and reports no error.

    Args:
        path (str): The file.
        times (np.ndarray): Times of the packets of the video in seconds, ascending, shape (N,).
        length_s (float): Length of the file in seconds by its header; 0 if unknown.
    """
    margin = max(1.0, 2 * float(np.diff(times).max(initial=0.0)))  # the last frame may be shown for a while
    if times[-1] + margin >= length_s:
        return
    with open_media(path) as container:  # sound may be longer than the video
        for packet in container.demux():
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                if end + margin >= length_s:
                    return
    raise DamagedVideoError(f'{path}: damaged after {times[-1]:.1f} s of {length_s:.1f} s')


def _check_all_read(path: str, stream: int) -> None:
    """Detect a damaged index of an mp4 file, at which FFmpeg stops to read; an edit list may hide packets, too."""
    options = {**_LOCAL_FILES_ONLY, 'ignore_editlist': '1'}
    with open_input(path, options=options) as container:
        expected = container.streams[stream].frames
        found = sum(packet.size > 0 for packet in container.demux(container.streams[stream]))
    if found < expected:
        raise DamagedVideoError(f'{path}: damaged, {found} of {expected} packets can be read')


def _check_not_cut(path: str, size: int, format_name: str) -> None:
    """Detect truncated files by the length in their headers or packets; FFmpeg reads them as shorter files.

    An mp4 file needs no check: without its index it does not open, and with it a missing packet is an error.
    """
    if format_name == 'mpegts':
        check_transport_stream(path)
        return
    with open(path, 'rb') as file:
        head = file.read(4096)
    expected = 0
    if format_name == 'avi' and head[:4] == b'RIFF':
        expected = 8 + int.from_bytes(head[4:8], 'little')
    elif 'matroska' in format_name:
        start = head.find(b'\x18\x53\x80\x67') + 4  # the segment, which contains everything after the file's header
        if start >= 4 and start < len(head):
            n_bytes = 9 - head[start].bit_length()
            value = int.from_bytes(head[start : start + n_bytes], 'big') & ((1 << 7 * n_bytes) - 1)
            unknown = value == (1 << 7 * n_bytes) - 1  # as live recordings write it
            expected = 0 if unknown else start + n_bytes + value
    if size < expected:
        raise DamagedVideoError(f'{path}: cut short ({size} bytes of {expected})')
