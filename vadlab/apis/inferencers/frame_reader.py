"""Sampled frames of many videos, decoded ahead of the model in threads, in bounded memory."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

import cv2
import numpy as np

from vadlab.datasets.video import VideoIndex, index_video
from vadlab.datasets.video.frame_folder import INTERPOLATIONS
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.datasets.video.video_index import HeldVideo, hold_video
from vadlab.utils.errors import DataError
from vadlab.utils.read_ahead import read_ahead

from .video_inputs import VideoSource

_MAX_BYTES = 64_000_000  # of frames that wait for the model
_SHORTEST_PART = 4  # chunks: shorter parts are not worth a reader of their own
_LAST_SHARE = 4  # the end of a video comes in pieces of this share of a chunk


@dataclass
class Opened:
    """A video was opened: its length, and the frames that will come.

    Attributes:
        source (VideoSource): The video.
        total_frames (int): N.
        fps (float): Mean frame rate.
        size (tuple[int, int]): Height and width of the upright picture.
        times (np.ndarray): Presentation time of every frame in seconds, float64, shape (N,).
        frame_inds (np.ndarray): Sampled frames, ascending, repeats allowed, int64, shape (T,).
        index (VideoIndex | None): Its packets; None for an array.
    """

    source: VideoSource
    total_frames: int
    fps: float
    size: tuple[int, int]
    times: np.ndarray = field(repr=False)
    frame_inds: np.ndarray = field(repr=False)
    index: VideoIndex | None = field(default=None, repr=False)


@dataclass
class Chunk:
    """Some sampled frames of a video.

    Attributes:
        source (VideoSource): The video.
        start (int): Place of the first one among the distinct sampled frames.
        frames (np.ndarray): RGB, uint8, shape (n, H, W, 3).
    """

    source: VideoSource
    start: int
    frames: np.ndarray = field(repr=False)


@dataclass
class Failed:
    """A video cannot be read."""

    source: VideoSource
    reason: str


@dataclass(frozen=True)
class _Part:
    """Distinct sampled frames ``start`` to ``stop`` of a video, for one thread; all of them if ``opened`` is None.

    ``held`` is the video itself if it is small and was opened ahead.
    """

    source: VideoSource
    opened: Opened | None = None
    start: int = 0
    stop: int = 0
    held: HeldVideo | None = None


class FrameReader:
    """Reads sampled frames of videos in threads (FFmpeg releases Python's lock) for one consumer.

    Each thread reads a video of its own; one more thread opens the next small files. If there are fewer videos than
    threads, a long video is split into parts that are read at the same time; the frames are the same.

    Args:
        sample (Callable): Takes the number of frames of a video, returns the sampled ones, ascending.
        size (tuple[int, int] | Callable): Height and width of the frames, in pixels; or a function that computes them
            from the height and width of a video.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.
        change (Callable | None): Further steps on frames, uint8, shape (n, H, W, 3).
        workers (int): Threads, >= 1.
        chunk (int): Frames that are delivered together; the chunks of a video start at multiples of it.
        fps (float): Frame rate of arrays and of folders of frames.
    """

    def __init__(
        self,
        sample: Callable[[int], np.ndarray],
        size: tuple[int, int] | Callable[[int, int], tuple[int, int]],
        interpolation: str = 'bicubic',
        change: Callable[[np.ndarray], np.ndarray] | None = None,
        workers: int = 2,
        chunk: int = 32,
        fps: float = 25.0,
    ) -> None:
        self.sample = sample
        self.size = size
        self.interpolation = interpolation
        self.change = change
        self.workers = workers
        self.chunk = chunk
        self.fps = fps

    def reads_whole_videos(self, sources: Sequence[VideoSource]) -> bool:
        """Whether each video is read by one thread: there are as many videos as threads."""
        return len(sources) >= self.workers

    def __call__(
        self, sources: Sequence[VideoSource], in_order: bool = False
    ) -> Generator[Opened | Chunk | Failed, None, None]:
        """Frames of videos: Opened, then chunks in any order; or Failed, which may come after some chunks.

        Args:
            sources (Sequence[VideoSource]): The videos.
            in_order (bool): One video after the other, if each is read by one thread.
        """
        height, width = self.size_of(480, 640)  # any video: the sizes of a model's frames are alike
        most = max(_MAX_BYTES // (self.chunk * height * width * 3), 2)
        if self.reads_whole_videos(sources):
            most = max(most // self.workers, 2) if in_order else most
            with closing(read_ahead(sources, self._opened_ahead, 1, self.workers, in_order)) as ahead:
                yield from read_ahead(ahead, self._items_of, self.workers, most, in_order)
        else:
            parts: list[_Part] = []
            for source in sources:
                try:
                    opened = self.look_at(source)
                except (DataError, OSError) as error:
                    yield Failed(source, str(error))
                    continue
                yield opened
                parts += self._split(opened)
            yield from read_ahead(parts, self._items_of, self.workers, most)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the frames of a video with pictures of this size."""
        return self.size(height, width) if callable(self.size) else self.size

    def look_at(self, source: VideoSource) -> Opened:
        """Count the frames of a video and choose the sampled ones.

        Raises:
            DataError: It cannot be read.
            OSError: The file cannot be read.
        """
        if source.frames is not None:
            total, size = len(source.frames), source.frames.shape[1:3]
            return Opened(source, total, self.fps, size, np.arange(total) / self.fps, self.sample(total))
        return self._described(source, index_video(source.path, remember=False))

    def _described(self, source: VideoSource, index: VideoIndex) -> Opened:
        size, total = (index.height, index.width), index.total_frames
        fps, times = index.clock(total, self.fps)
        return Opened(source, total, fps, size, times, self.sample(total), index)

    def _split(self, opened: Opened) -> Iterator[_Part]:
        """Parts of about equal length, which start where a chunk starts."""
        count = len(np.unique(opened.frame_inds))
        chunks = -(-count // self.chunk)
        can_seek = opened.index is not None and not opened.index.why_sequential
        parts = min(self.workers, max(chunks // _SHORTEST_PART, 1)) if can_seek else 1
        bounds = [min(round(chunks * k / parts) * self.chunk, count) for k in range(parts + 1)]
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
            yield _Part(opened.source, opened, start, stop)

    def _opened_ahead(self, source: VideoSource) -> Iterator[_Part]:
        held = None
        if source.frames is None:
            with suppress(DataError, OSError):  # the thread that reads it finds it again, and tells
                held = hold_video(source.path)
        yield _Part(source, held=held)

    def _items_of(self, part: _Part) -> Iterator[Opened | Chunk | Failed]:
        try:
            opened, start, stop = part.opened, part.start, part.stop
            if opened is None:
                held = part.held
                opened = self._described(part.source, held.index) if held else self.look_at(part.source)
                yield opened
                stop = len(np.unique(opened.frame_inds))
            inds = np.unique(opened.frame_inds)[start:stop]
            pictures = self.pictures(opened, inds, part.held)
            # Few frames of a long video are left to the model when the last one is decoded; a short one is one chunk.
            last = stop - stop % self.chunk
            piece = max(self.chunk // _LAST_SHARE, 1) if last else self.chunk
            for first in (*range(start, last, self.chunk), *range(max(last, start), stop, piece)):
                count = self.chunk if first < last else min(piece, stop - first)
                frames = np.stack([next(pictures) for _ in range(count)])
                yield Chunk(part.source, first, frames if self.change is None else self.change(frames))
        except (DataError, OSError) as error:
            yield Failed(part.source, str(error))

    def pictures(self, opened: Opened, inds: np.ndarray, held: HeldVideo | None = None) -> Iterator[np.ndarray]:
        """Some frames of a video, ascending and distinct, scaled but not changed further."""
        size = self.size_of(*opened.size)
        if opened.index is not None:
            yield from stream_pyav(opened.index, inds, size, self.interpolation, held)
            return
        assert opened.source.frames is not None
        method = INTERPOLATIONS[self.interpolation]
        for frame in (opened.source.frames[ind] for ind in inds.tolist()):
            yield frame if frame.shape[:2] == size else cv2.resize(frame, size[::-1], interpolation=method)
