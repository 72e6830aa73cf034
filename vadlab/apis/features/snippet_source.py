"""Snippets of many videos, decoded ahead of the model in threads, in bounded memory."""

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.datasets.video.video_index import VideoIndex, index_video
from vadlab.utils.errors import ConfigError, DataError

from .snippet_plan import SnippetPlan
from .video_list import VideoItem

RESIZERS = ('swscale', 'opencv')


@dataclass
class Opened:
    """A video is about to deliver its snippets."""

    video: VideoItem
    snippets: int
    total_frames: int
    fps: float


@dataclass
class Snippet:
    """Frames of the next snippet of a video, RGB, uint8, shape (F, H, W, 3)."""

    video: VideoItem
    frames: np.ndarray = field(repr=False)


@dataclass
class Failed:
    """A video that cannot be decoded, or not to its end."""

    video: VideoItem
    reason: str


@dataclass
class _Crashed:
    error: BaseException


class SnippetSource:
    """Decodes videos in threads (FFmpeg works outside Python's lock) and hands their snippets to one consumer.

    The snippets of one video come in order; those of several videos mix. Threads wait when ``max_bytes`` of frames are
    waiting, so memory depends neither on the length nor on the number of videos.

    Args:
        plan (SnippetPlan): Which frames make which snippet.
        resize (int | tuple): Frames' height and width in pixels; an int is the shorter side, the aspect ratio kept.
        crop_size (int): Neither side may become smaller than this.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.
        resizer (str): ``swscale`` scales while it converts colours; ``opencv`` converts first and then scales with
            ``cv2.resize``, as scripts that read videos with OpenCV do.
        blank (bool): Black frames instead of the video's, which is not decoded: the control that shows what a method
            learns from lengths and file names alone.
        workers (int): Threads, >= 1.
        max_bytes (int): Of frames that may wait.
    """

    def __init__(
        self,
        plan: SnippetPlan,
        resize: int | tuple[int, int],
        crop_size: int,
        interpolation: str = 'bilinear',
        resizer: str = 'swscale',
        blank: bool = False,
        workers: int = 2,
        max_bytes: int = 256_000_000,
    ) -> None:
        if resizer not in RESIZERS:
            raise ConfigError(f'features.resizer={resizer!r} is none of {", ".join(RESIZERS)}.')
        if interpolation not in ('bilinear', 'bicubic', 'area'):
            raise ConfigError(f'features.interpolation={interpolation!r} is none of bilinear, bicubic, area.')
        shorter = resize if isinstance(resize, int) else min(resize)
        if shorter < crop_size:
            raise ConfigError(f'features.resize={resize} is smaller than crop_size={crop_size}.')
        self.plan = plan
        self.resize = resize
        self.interpolation = interpolation
        self.resizer = resizer
        self.blank = blank
        self.workers = workers
        self.max_bytes = max_bytes

    def __call__(self, videos: list[VideoItem]) -> Generator[Opened | Snippet | Failed, None, None]:
        """Deliver the snippets of these videos; closing the iterator stops the threads."""
        todo: queue.SimpleQueue[VideoItem] = queue.SimpleQueue()
        for video in videos:
            todo.put(video)
        # A first guess of a frame's size; snippets of one run have about the same.
        side = self.resize if isinstance(self.resize, int) else max(self.resize)
        snippet_bytes = 3 * side * side * 4 // 3 * len(self.plan.offsets)
        ready: queue.Queue[Any] = queue.Queue(maxsize=int(np.clip(self.max_bytes // snippet_bytes, 2, 512)))
        stop = threading.Event()

        def put(item: Any) -> None:
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    return
                except queue.Full:
                    continue
            raise _StoppedError

        def work() -> None:
            try:
                while not stop.is_set():
                    try:
                        video = todo.get_nowait()
                    except queue.Empty:
                        break
                    try:
                        for item in self.snippets_of(video):
                            put(item)
                    except (DataError, OSError) as error:
                        put(Failed(video, str(error)))
                put(None)
            except _StoppedError:
                pass
            except BaseException as error:  # a fault of ours: shown by the consumer with its traceback
                if not stop.is_set():
                    ready.put(_Crashed(error))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self.workers, len(videos)))]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                item = ready.get()
                if item is None:
                    running -= 1
                elif isinstance(item, _Crashed):
                    raise item.error
                else:
                    yield item
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def snippets_of(self, video: VideoItem) -> Iterator[Opened | Snippet]:
        """Decode one video.

        Raises:
            DataError: It cannot be decoded.
            OSError: It cannot be read.
        """
        index = index_video(video.path, remember=False)
        inds = self.plan.frame_inds(index.total_frames)
        yield Opened(video, len(inds), index.total_frames, index.fps)
        size = self.frame_size(index)
        if self.blank:
            black = np.zeros((inds.shape[1], *size, 3), np.uint8)
            for _ in inds:
                yield Snippet(video, black)
            return
        # Snippets that overlap, or that repeat the last frame, share frames: each is decoded once and kept while
        # snippets to come need it.
        distinct = np.unique(inds)
        last_use = {int(i): s for s, row in enumerate(inds) for i in row}
        kept: dict[int, np.ndarray] = {}
        pictures = zip(distinct.tolist(), self._pictures(index, distinct, size), strict=True)
        newest = -1
        for number, row in enumerate(inds.tolist()):
            while newest < row[-1]:
                newest, picture = next(pictures)
                kept[newest] = picture
            yield Snippet(video, np.stack([kept[i] for i in row]))
            for i in [i for i in kept if last_use[i] <= number]:
                del kept[i]

    def frame_size(self, index: VideoIndex) -> tuple[int, int]:
        """Height and width that frames of a video are scaled to."""
        if not isinstance(self.resize, int):
            return self.resize[0], self.resize[1]
        scale = self.resize / min(index.height, index.width)
        # The shorter side exactly; the longer one cut to whole pixels, as torchvision does.
        return max(int(index.height * scale + 1e-6), self.resize), max(int(index.width * scale + 1e-6), self.resize)

    def _pictures(self, index: VideoIndex, inds: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
        if self.resizer == 'swscale':
            yield from stream_pyav(index, inds, size, self.interpolation)
            return
        method = {'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}[self.interpolation]
        for picture in stream_pyav(index, inds, (index.height, index.width), 'bicubic'):
            yield cv2.resize(picture, size[::-1], interpolation=method)


class _StoppedError(Exception):
    """The consumer wants no more."""
