"""Whole pictures of interlaced video, for people who look at it: browsers show its two fields as combs.

Methods see frames as they are stored. FFmpeg's ``bwdif`` (Weston's 3-field filter with temporal prediction) makes one
picture per frame, so frames keep their number and their time. Frames that are not interlaced stay as they are.
"""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

from av.error import BlockingIOError as NotYetError
from av.error import EOFError as EndError
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat

from .video_index import VideoIndex, open_video

_LOOKED_AT = 4  # frames at each of three places
_TIME_BASE = Fraction(1, 1000)  # frames are numbered, so any step will do


def is_interlaced(index: VideoIndex) -> bool:
    """Whether the decoder calls a frame interlaced: the first ones, or some at a third and at two thirds of the video.

    Args:
        index (VideoIndex): Index of a video; a folder of images is not interlaced.

    Raises:
        DamagedVideoError: The file cannot be decoded.
    """
    if os.path.isdir(index.path):
        return False
    with open_video(index.path) as (container, stream):
        if _some_are(container, stream):
            return True
        for place in (1, 2) if stream.duration else ():
            try:
                container.seek((stream.start_time or 0) + stream.duration * place // 3, stream=stream)
                if _some_are(container, stream):
                    return True
            except FFmpegError:  # a short file may have nothing to seek to
                break
    return False


def _some_are(container: Any, stream: Any) -> bool:
    return any(frame.interlaced_frame for frame in islice(container.decode(stream), _LOOKED_AT))


def deinterlaced(frames: Iterable[Any]) -> Iterator[Any]:
    """As many frames as come; those that are interlaced become whole pictures.

    Args:
        frames (Iterable): Decoded frames (``av.VideoFrame``), in order of time.

    Yields:
        The frames (``av.VideoFrame``); their time stamps mean nothing.
    """
    graph, kind = None, None
    for number, frame in enumerate(frames):
        found = frame.width, frame.height, frame.format.name
        if graph is None or found != kind:  # the size may change within a file
            if graph is not None:
                yield from _through(graph, None)
            graph, kind = _graph_of(*found), found
        frame.pts, frame.time_base = number, _TIME_BASE
        yield from _through(graph, frame)
    if graph is not None:
        yield from _through(graph, None)


def _graph_of(width: int, height: int, pixels: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat(pixels), time_base=_TIME_BASE)
    graph.link_nodes(source, graph.add('bwdif', 'send_frame:auto:interlaced'), graph.add('buffersink')).configure()
    return graph


def _through(graph: Graph, frame: Any) -> Iterator[Any]:
    """Push a frame, or None for the end, and pull what comes out."""
    graph.vpush(frame)
    while True:
        try:
            yield graph.vpull()
        except (NotYetError, EndError):
            return
