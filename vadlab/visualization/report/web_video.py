"""Videos that any browser plays: H.264 with 8-bit 4:2:0 pictures and AAC or MP3 sound in an mp4 file.

Frames keep their number and their time. So a page finds the frame that is shown by its time, also in files with a
variable frame rate. FFmpeg's libraries come with PyAV, which VADLab needs anyway.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from mmengine.logging import print_log

from vadlab.datasets.video.deinterlace import deinterlaced, is_interlaced
from vadlab.datasets.video.dynamic_range import has_high_range, to_rgb
from vadlab.datasets.video.errors import DamagedVideoError
from vadlab.datasets.video.pyav_reader import stream_in_order, stream_pyav
from vadlab.datasets.video.video_index import VideoIndex, index_video, open_video
from vadlab.utils.atomic import atomic_path
from vadlab.utils.av_input import WRITTEN_BY
from vadlab.utils.errors import DISK_IS_FULL

TIME_BASE = Fraction(1, 90_000)
_PIXELS = ('yuv420p', 'yuvj420p')
_PROFILES = ('Baseline', 'Constrained Baseline', 'Main', 'High', 'Progressive High', 'Constrained High')
_SOUNDS = ('aac', 'mp3', 'mp3float')
_CRF = 23
_GAP_S = 0.1  # in the sound
_GOP = 48  # frames from one keyframe to the next: a browser seeks by decoding from a keyframe


def write_web_video(
    source: str, target: Path, times: np.ndarray, max_side: int = 1280, constant_fps: float | None = None
) -> str:
    """Write a file that any browser plays.

    An mp4 file that browsers play is copied, if it has one video stream. Other H.264 is put into an mp4 file without
    encoding. All else is encoded: other codecs, 10-bit pictures, interlaced video, AVI files, folders of frames.

    Args:
        source (str): Video file, or folder with one image per frame.
        target (Path): The mp4 file to write, atomically.
        times (np.ndarray): Presentation time of every frame in seconds, ascending, shape (N,).
        max_side (int): Longest side of encoded pictures, in pixels; larger ones are scaled down.
        constant_fps (float | None): Encode the same frames at this constant rate, without sound.

    Returns:
        str: How: ``copied``, ``remuxed`` or ``encoded``.

    Raises:
        MissingFileError: There is no such file.
        DamagedVideoError: It cannot be decoded.
        OSError: The disk is full.
    """
    index = index_video(source)
    how = way_to_web(index) if constant_fps is None else 'encoded'
    if how == 'copied':
        with atomic_path(target) as part:
            shutil.copyfile(source, part)
    elif how == 'remuxed':
        _with_or_without_sound(source, target, lambda part, with_sound: _remux(index, part, with_sound))
    else:
        scale = min(1.0, max_side / max(index.height, index.width))
        size = even(index.height * scale), even(index.width * scale)
        shown = times if constant_fps is None else np.arange(len(times)) / constant_fps
        has_sound = constant_fps is None
        write_h264(index, target, lambda: _frames(index, size, len(times)), size, shown, has_sound)
    return how


def even(side: float) -> int:
    """The nearest even number, at least 2: H.264 stores colours at half the size."""
    return max(2, 2 * round(side / 2))


def write_h264(
    index: VideoIndex,
    target: Path,
    frames: Callable[[], Iterator[Any]],
    size: tuple[int, int],
    times: np.ndarray,
    with_sound: bool = True,
) -> None:
    """Encode frames as H.264 into an mp4 file, with the sound of a video; without it if the sound is damaged.

    Args:
        index (VideoIndex): The video with the sound.
        target (Path): The mp4 file to write, atomically.
        frames (Callable): Makes an iterator of ``av.VideoFrame``, yuv420p, as many as ``times`` at most.
        size (tuple[int, int]): Their height and width, even.
        times (np.ndarray): Presentation times in seconds, ascending, shape (N,).
        with_sound (bool): Add the video's sound, if it has some.

    Raises:
        DamagedVideoError: The video cannot be decoded.
        OSError: The disk is full.
    """
    _with_or_without_sound(
        index.path,
        target,
        lambda part, has_sound: _encode(index, part, frames(), size, times, has_sound and with_sound),
    )


def _with_or_without_sound(source: str, target: Path, write: Callable[[Path, bool], None]) -> None:
    for with_sound in (True, False):
        try:
            with atomic_path(target) as part:
                write(part, with_sound)
            return
        except (FFmpegError, OSError, DamagedVideoError, ValueError) as error:
            number = getattr(error, 'errno', None)
            if number in DISK_IS_FULL:  # no fault of the video: the next one cannot be written either
                raise OSError(number, os.strerror(number), str(target)) from error
            if not isinstance(error, FFmpegError | DamagedVideoError | ValueError):
                raise
            if not with_sound:
                raise DamagedVideoError(f'{source}: cannot be written as H.264 ({error})') from error
            print_log(f'{source}: written without sound ({error})', 'current', logging.WARNING)


def way_to_web(index: VideoIndex) -> str:
    """How :func:`write_web_video` makes a file that any browser plays: ``copied``, ``remuxed`` or ``encoded``."""
    if os.path.isdir(index.path) or index.why_sequential or len(index.packet_of_frame) < len(index.packet_pts):
        return 'encoded'
    with open_video(index.path) as (container, stream):
        codec = stream.codec_context
        fits = codec.name == 'h264' and codec.pix_fmt in _PIXELS and stream.profile in _PROFILES
        if not fits:
            return 'encoded'
        sound = container.streams.best('audio')
        plays = sound is None or (sound.codec_context is not None and sound.codec_context.name in _SOUNDS)
        is_mp4 = 'mp4' in container.format.name.split(',')
        is_alone = sum(not one.disposition & Disposition.attached_pic for one in container.streams.video) == 1
    if is_interlaced(index):
        return 'encoded'
    # Of several video streams, a browser might show another one.
    if is_mp4 and plays and start_of(index) == 0 and is_alone:
        return 'copied'
    # The rotation is stored in the file's header, which only a copy is sure to keep.
    return 'remuxed' if not index.orientation and index.pixel_aspect == 1.0 else 'encoded'


def start_of(index: VideoIndex) -> float:
    """Time at which a player shows the first frame, in seconds; 0 where the file has no reliable time stamps."""
    if index.why_sequential or not index.tick_s:
        return 0.0
    return float(index.packet_pts[index.packet_of_frame[0]] * index.tick_s)


@contextmanager
def open_mp4(path: Path) -> Iterator[Any]:
    """An mp4 file to write to, whose header comes first."""
    with av.open(str(path), 'w', format='mp4', options={'movflags': '+faststart'}) as out:
        out.metadata['comment'] = WRITTEN_BY
        yield out


def _remux(index: VideoIndex, part: Path, with_sound: bool) -> None:
    first = int(index.packet_pts[index.packet_of_frame[0]])
    with open_video(index.path) as (container, stream), open_mp4(part) as out:
        copied = out.add_stream_from_template(stream)
        sound = Sound.of(container, out, first * stream.time_base) if with_sound else None
        for packet in container.demux([stream, *([sound.stream] if sound else [])]):
            if packet.stream is not stream:
                assert sound is not None
                sound.add(packet)
            elif packet.size:
                packet.pts -= first
                packet.dts = None if packet.dts is None else packet.dts - first
                packet.stream = copied
                out.mux(packet)
        if sound:
            sound.close()


def _encode(
    index: VideoIndex, part: Path, frames: Iterator[Any], size: tuple[int, int], times: np.ndarray, with_sound: bool
) -> None:
    with open_mp4(part) as out, ExitStack() as stack:
        writer, sound, packets = H264Stream(out, size, index.fps), None, iter(())
        if with_sound and not os.path.isdir(index.path):
            container, stream = stack.enter_context(open_video(index.path))
            sound = Sound.of(container, out, (stream.start_time or 0) * stream.time_base)
            packets = container.demux(sound.stream) if sound else packets
        # The muxer interleaves packets by time only if they come roughly in that order.
        for frame, time_s in zip(frames, (times - times[0]).tolist(), strict=False):
            writer.add(frame, time_s)
            if sound:
                sound.add_until(packets, time_s + 1)
        if sound:
            sound.add_until(packets, float('inf'))
            sound.close()
        writer.close()


def _frames(index: VideoIndex, size: tuple[int, int], count: int) -> Iterator[Any]:
    """All frames of a video as ``yuv420p``, upright, whole pictures, at the given height and width."""
    reformatter = VideoReformatter()
    if os.path.isdir(index.path) or index.orientation:
        for picture in all_pictures(index, size, count):
            yield to_yuv(picture, reformatter)
        return
    has_fields = is_interlaced(index)
    with open_video(index.path) as (container, stream):
        decoded = container.decode(stream)
        for number, frame in enumerate(deinterlaced(decoded) if has_fields else decoded):
            if number == count:
                return
            if has_high_range(frame):
                yield to_yuv(to_rgb(frame, size[1], size[0], 'bilinear', reformatter).to_ndarray(), reformatter)
                continue
            how: dict[str, Any] = dict(interpolation='BILINEAR', threads=1, dst_color_range=ColorRange.MPEG)
            yield reformatter.reformat(frame, size[1], size[0], 'yuv420p', **how)


def to_yuv(picture: np.ndarray, reformatter: VideoReformatter) -> Any:
    """A picture as ``av.VideoFrame``, yuv420p, in the colours of HD television.

    Args:
        picture (np.ndarray): RGB, uint8, shape (height, width, 3), even sides.
        reformatter (VideoReformatter): Reused from frame to frame.
    """
    frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
    return reformatter.reformat(
        frame,
        format='yuv420p',
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
        threads=1,
    )


def all_pictures(index: VideoIndex, size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """The first frames of a video for people to look at: upright, whole pictures.

    Args:
        index (VideoIndex): The video, or the folder of frames.
        size (tuple[int, int]): Height and width, in pixels.
        count (int): Number of frames; fewer come if the video is shorter.

    Yields:
        np.ndarray: RGB, uint8, shape (height, width, 3).

    Raises:
        DamagedVideoError: The video cannot be decoded.
    """
    has_fields = is_interlaced(index)
    if os.path.isdir(index.path) or not (has_fields or index.why_sequential):
        yield from stream_pyav(index, np.arange(min(count, index.total_frames)), size, 'bilinear')
        return
    in_order = stream_in_order(index, lambda number: number < count, size, 'bilinear', has_fields)
    yield from (picture for _, picture in islice(in_order, count) if picture is not None)


class H264Stream:
    """H.264 stream of an mp4 file, with frames at given times.

    Args:
        out (Any): The container to write to.
        size (tuple[int, int]): Even height and width, in pixels.
        fps (float): Mean frame rate, for the rate control.
        crf (int): x264's constant rate factor: lower is better and larger.
    """

    def __init__(self, out: Any, size: tuple[int, int], fps: float, crf: int = _CRF) -> None:
        self._out = out
        options = {'preset': 'veryfast', 'crf': str(crf), 'bf': '0'}
        rate = Fraction(min(max(fps, 1.0), 240.0)).limit_denominator(1001)
        self.stream = out.add_stream('libx264', rate=rate, options=options)
        self.stream.height, self.stream.width = size
        self.stream.pix_fmt = 'yuv420p'
        self.stream.codec_context.gop_size = _GOP
        self.stream.codec_context.time_base = TIME_BASE
        self.stream.time_base = TIME_BASE
        self._last = -1

    def add(self, frame: Any, time_s: float) -> None:
        """Append a frame (``av.VideoFrame``, yuv420p) at a time in seconds from the start, > that of the last one.

        The first frame tells the colours of the stream.
        """
        if self._last < 0:  # players guess the colours of a stream that does not name them
            codec = self.stream.codec_context
            codec.colorspace, codec.color_range = frame.colorspace, frame.color_range
            codec.color_trc, codec.color_primaries = frame.color_trc, frame.color_primaries
        frame.pts = self._last = max(round(time_s / TIME_BASE), self._last + 1)
        frame.time_base = TIME_BASE
        frame.pict_type = 0  # the type that the source had would be forced on the encoder
        self._out.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Write the frames that the encoder holds."""
        self._out.mux(self.stream.encode(None))


class Sound:
    """Sound track of a source on its way to an mp4 file: copied if browsers play it there, else encoded as AAC.

    Attributes:
        stream (Any): The stream of the source.
    """

    def __init__(self, stream: Any, out: Any, start_s: Fraction, is_copied: bool) -> None:
        self.stream, self._out, self._start_s, self._is_copied = stream, out, start_s, is_copied
        if is_copied:
            self._target = out.add_stream_from_template(stream)
        else:
            rate = stream.codec_context.sample_rate or 48_000
            rate = rate if rate in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000) else 48_000
            layout = 'mono' if stream.codec_context.channels == 1 else 'stereo'
            self._target = out.add_stream('aac', rate=rate, layout=layout)
            self._rate, self._samples = rate, 0
            self._resampler = av.AudioResampler(format='fltp', layout=layout, rate=rate)
        self._until_s = -1.0

    @classmethod
    def of(cls, container: Any, out: Any, start_s: Fraction) -> 'Sound | None':
        """The sound of a container; None without any. ``start_s`` is the time of the first picture, in seconds."""
        stream = container.streams.best('audio')
        if stream is None or stream.codec_context is None:
            return None
        has_header = bool(set(container.format.name.split(',')) & {'mp4', 'matroska'})
        is_copied = has_header and stream.codec_context.name in _SOUNDS
        return cls(stream, out, Fraction(start_s), is_copied)

    def add(self, packet: Any) -> None:
        """Write a packet of the source."""
        if packet.pts is not None:
            self._until_s = float(packet.pts * packet.time_base - self._start_s)
        if self._is_copied:
            if packet.size:
                first = round(self._start_s / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - first
                packet.dts = None if packet.dts is None else packet.dts - first
                packet.stream = self._target
                self._out.mux(packet)
            return
        for frame in packet.decode():
            start_s = None if frame.pts is None else frame.pts * frame.time_base - self._start_s
            frame.pts = None
            self._encode(frame, start_s)

    def add_until(self, packets: Iterator[Any], time_s: float) -> None:
        """Write packets up to a time, in seconds from the first picture."""
        while self._until_s <= time_s:
            packet = next(packets, None)
            if packet is None:
                return
            self.add(packet)

    def close(self) -> None:
        """Write what the encoder holds."""
        if not self._is_copied:
            self._encode(None)
            self._out.mux(self._target.encode(None))

    def _encode(self, frame: Any, start_s: Fraction | None = None) -> None:
        # Samples are counted, since time stamps of sound are rounded; only a gap moves the count.
        if start_s is not None and start_s - Fraction(self._samples, self._rate) > _GAP_S:
            self._samples = round(start_s * self._rate)
        for part in self._resampler.resample(frame):
            part.pts, part.time_base = self._samples, Fraction(1, self._rate)
            self._samples += part.samples
            self._out.mux(self._target.encode(part))
