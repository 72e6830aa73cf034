"""Sparse decoding with PyAV, bit-identical to decoding the whole file."""

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from ...utils.run_log import log
from .deinterlace import deinterlaced
from .dynamic_range import to_rgb
from .errors import DamagedVideoError
from .frame_folder import stream_folder
from .orientation import Orientation
from .video_index import HeldVideo, VideoIndex, open_packets, open_video

# Codecs in which unreferenced frames do not change the decoder's state. In HEVC and VP9 they do.
_NONREF_IS_EXACT = {'h264', 'mpeg4', 'mpeg2video'}


class _PlanFailedError(Exception):
    """The decoder did not return a frame that the plan expected from the packets."""


def upright_picture(
    frame: Any, orientation: Orientation, size: tuple[int, int], interpolation: str, reformatter: VideoReformatter
) -> np.ndarray:
    """Picture of a decoded frame, RGB, uint8, shape (height, width, 3); high dynamic range is mapped to sRGB.

    Args:
        frame (av.VideoFrame): The frame.
        orientation (Orientation): Turn from the stored picture to the shown one.
        size (tuple[int, int]): Height and width of the result, in pixels.
        interpolation (str): A swscale method, such as ``bicubic``.
        reformatter (VideoReformatter): Reused from frame to frame.
    """
    height, width = orientation.size(*size)
    return orientation.apply(to_rgb(frame, width, height, interpolation, reformatter).to_ndarray())


class _Converter:
    """Converter of the frames of one video to pictures of one size."""

    def __init__(self, index: VideoIndex, size: tuple[int, int], interpolation: str) -> None:
        self._orientation = index.orientation
        self._size = size
        self._interpolation = interpolation
        self._reformatter = VideoReformatter()

    def picture(self, frame: Any) -> np.ndarray:
        return upright_picture(frame, self._orientation, self._size, self._interpolation, self._reformatter)


def read_pyav(index: VideoIndex, inds: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Decode some frames of a video with PyAV into one array.

    Arguments, decoding and errors are those of :func:`stream_pyav`.

    Returns:
        RGB frames, uint8, shape (len(inds), height, width, 3).
    """
    frames = np.empty((len(inds), *size, 3), np.uint8)
    for slot, picture in enumerate(stream_pyav(index, inds, size, interpolation)):
        frames[slot] = picture
    return frames


def stream_pyav(
    index: VideoIndex,
    inds: np.ndarray,
    size: tuple[int, int],
    interpolation: str,
    held: HeldVideo | None = None,
) -> Iterator[np.ndarray]:
    """Decode some frames of a video with PyAV, one after the other, in constant memory.

    If the index allows, decoding is planned: in each group of pictures, packets are decoded only up to the last wanted
    frame; groups without a wanted frame are skipped; unreferenced frames are dropped where that is exact; the previous
    group is included for wanted leading pictures. If the plan fails, the file is decoded from its start.

    Args:
        index: Index of the video.
        inds: Wanted frames, int64, ascending, distinct.
        size: Height and width of the result, in pixels.
        interpolation: A swscale method, such as ``bicubic``.
        held: The same video if it is open; it is closed here.

    Yields:
        RGB frames, uint8, shape (height, width, 3), in the order of ``inds``.

    Raises:
        DamagedVideoError: FFmpeg fails, or the file ends before the last wanted frame.
    """
    if os.path.isdir(index.path):
        yield from stream_folder(index.path, inds, (index.height, index.width), size, interpolation)
        return
    n_done = 0
    if not index.why_sequential:
        try:
            for picture in _planned(index, inds, size, interpolation, held):
                yield picture
                n_done += 1
            return
        except (_PlanFailedError, DamagedVideoError) as error:
            log(f'{index.path}: decoding from the start ({error})', logging.DEBUG)
    yield from _sequential(index, inds[n_done:], size, interpolation)


def stream_in_order(
    index: VideoIndex,
    is_wanted: Callable[[int], bool],
    size: tuple[int, int],
    interpolation: str,
    deinterlace: bool = False,
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Decode a video from its start to its end, without using its frame count.

    Args:
        index: Index of the video; its frame count is not used.
        is_wanted: Takes a frame's number, returns whether to make a picture of it.
        size: Height and width of the pictures, in pixels.
        interpolation: A swscale method, such as ``bicubic``.
        deinterlace: Make whole pictures of interlaced frames.

    Yields:
        The number of each frame, from 0, and its picture, RGB, uint8, shape (height, width, 3), if it is wanted.

    Raises:
        DamagedVideoError: FFmpeg fails.
    """
    converter = _Converter(index, size, interpolation)
    path, n_seen = index.path, 0
    with open_video(path) as (container, stream):
        try:
            decoded = container.decode(stream)
            for position, frame in enumerate(deinterlaced(decoded) if deinterlace else decoded):
                n_seen = position + 1
                yield position, converter.picture(frame) if is_wanted(position) else None
        except FFmpegError as error:
            raise DamagedVideoError(f'{path}: damaged after frame {n_seen} ({error.strerror or error})') from error
    if not n_seen:
        raise DamagedVideoError(f'{path}: not one frame can be decoded')


def plan_packets(index: VideoIndex, inds: np.ndarray) -> np.ndarray:
    """Mask of the packets that must be decoded to get some frames.

    Returns:
        bool, shape (P,), in decoding order.
    """
    starts = np.flatnonzero(index.packet_is_key)
    ends = np.append(starts[1:], len(index.packet_pts))
    wanted = index.packet_of_frame[inds]
    group = np.searchsorted(starts, wanted, side='right') - 1
    stop = starts.copy()  # decode [start, stop) of each group
    np.maximum.at(stop, group, wanted + 1)
    # A picture shown before its group's keyframe refers to the previous group.
    leading = group[index.packet_pts[wanted] < index.packet_pts[starts[group]]]
    stop[leading - 1] = ends[leading - 1]
    feed = np.zeros(len(index.packet_pts) + 1, np.int64)
    np.add.at(feed, starts, stop > starts)
    np.subtract.at(feed, stop, stop > starts)
    return np.cumsum(feed)[:-1] > 0


def _planned(
    index: VideoIndex,
    inds: np.ndarray,
    size: tuple[int, int],
    interpolation: str,
    held: HeldVideo | None = None,
) -> Iterator[np.ndarray]:
    feed = plan_packets(index, inds)
    wanted_pts = index.packet_pts[index.packet_of_frame[inds]].tolist()
    wanted = set(wanted_pts)
    run_starts = feed & ~np.concatenate(([False], feed[:-1]))
    start_pts = set(index.packet_pts[run_starts].tolist())
    last = int(np.flatnonzero(feed)[-1])
    converter = _Converter(index, size, interpolation)
    n_found = 0

    def take(frames: list[Any]) -> Iterator[np.ndarray]:
        nonlocal n_found
        for frame in frames:
            if frame.pts in start_pts and frame.pict_type != PictureType.I:
                raise _PlanFailedError('a group starts with a gradual refresh')
            if frame.pts in wanted:
                if n_found == len(wanted_pts) or frame.pts != wanted_pts[n_found]:
                    raise _PlanFailedError(f'frame {inds[min(n_found, len(inds) - 1)]} did not come in its turn')
                n_found += 1
                yield converter.picture(frame)

    with open_packets(index.path, held) as (codec, packets):
        may_drop = codec.name in _NONREF_IS_EXACT
        dropping = False
        for position, packet in enumerate(packets):
            if not feed[position]:
                continue
            drop = may_drop and packet.pts not in wanted
            if drop is not dropping:
                codec.skip_frame = 'NONREF' if drop else 'DEFAULT'
                dropping = drop
            yield from take(codec.decode(packet))
            if position == last or not feed[position + 1]:
                yield from take(codec.decode(None))
                codec.flush_buffers()
            if position == last:
                break
    if n_found != len(inds):
        raise _PlanFailedError(f'{len(inds) - n_found} of {len(inds)} frames did not come')


def _sequential(index: VideoIndex, inds: np.ndarray, size: tuple[int, int], interpolation: str) -> Iterator[np.ndarray]:
    wanted = set(inds.tolist())
    n_found = n_seen = 0
    for position, picture in stream_in_order(index, wanted.__contains__, size, interpolation):
        n_seen = position + 1
        if picture is not None:
            yield picture
            n_found += 1
            if n_found == len(inds):
                return
    raise DamagedVideoError(f'{index.path}: ends after {n_seen} frames, but frame {inds[n_found]} was expected')
