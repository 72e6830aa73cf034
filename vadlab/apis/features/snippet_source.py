"""Snippets of many videos, decoded ahead of the model in threads, in bounded memory."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from vadlab.datasets.video.pyav_reader import stream_in_order, stream_pyav
from vadlab.datasets.video.video_index import VideoIndex, index_video
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.read_ahead import read_ahead

from .snippet_plan import SnippetPlan
from .video_list import VideoItem

RESIZERS = ('swscale', 'opencv')


@dataclass
class Opened:
    """Start of a video; ``snippets`` is their number, exact or estimated (for the progress)."""

    video: VideoItem
    snippets: int
    fps: float


@dataclass
class Snippet:
    """The next snippet of a video: frames, RGB, uint8, shape (F, H, W, 3)."""

    video: VideoItem
    frames: np.ndarray = field(repr=False)


@dataclass
class Ended:
    """End of a video: all of its snippets were delivered."""

    video: VideoItem
    snippets: int
    total_frames: int


@dataclass
class Failed:
    """A video that cannot be decoded completely."""

    video: VideoItem
    reason: str


class SnippetSource:
    """Decodes videos in threads (FFmpeg releases Python's lock) and delivers their snippets to one consumer.

    The snippets of one video are in order; those of several videos are interleaved. Threads wait when ``max_bytes`` of
    frames are queued, so memory depends neither on the length nor on the number of videos.

    Args:
        plan (SnippetPlan): The frames of each snippet.
        resize (int | tuple): Height and width of frames in pixels; an int is the shorter side, with the aspect ratio
            kept.
        crop_size (int): Minimum height and width after resizing.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.
        resizer (str): ``swscale`` scales while it converts colours; ``opencv`` converts first and then scales with
            ``cv2.resize``, as scripts that read videos with OpenCV do.
        blank (bool): Deliver black frames without decoding the video: the control that shows what a method learns only
            from lengths and file names.
        workers (int): Threads, >= 1.
        max_bytes (int): Maximum size of queued frames in bytes.
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
            raise ConfigError(f'features.resizer={resizer!r} is not one of {", ".join(RESIZERS)}.')
        if interpolation not in ('bilinear', 'bicubic', 'area'):
            raise ConfigError(f'features.interpolation={interpolation!r} is not one of bilinear, bicubic, area.')
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

    def __call__(self, videos: list[VideoItem]) -> Generator[Opened | Snippet | Ended | Failed, None, None]:
        """Deliver the snippets of these videos; closing the iterator stops the threads."""
        # Initial estimate of a frame's size; snippets of one run have similar sizes.
        side = self.resize if isinstance(self.resize, int) else max(self.resize)
        snippet_bytes = 3 * side * side * 4 // 3 * len(self.plan.offsets)

        def items_of(video: VideoItem) -> Iterator[Opened | Snippet | Ended | Failed]:
            try:
                yield from self.snippets_of(video)
            except (DataError, OSError) as error:
                yield Failed(video, str(error))

        most = int(np.clip(self.max_bytes // snippet_bytes, 2, 512))
        yield from read_ahead(videos, items_of, self.workers, most)

    def snippets_of(self, video: VideoItem) -> Iterator[Opened | Snippet | Ended]:
        """Decode one video.

        If the number of frames is only known after decoding, frames are counted while snippets are made, unless the
        rule for the last snippet needs the number before.

        Raises:
            DataError: The video cannot be decoded.
            OSError: The file cannot be read.
        """
        index = index_video(video.path, remember=False, count=self.blank or self.plan.tail != 'drop')
        yield Opened(video, self.plan.count(index.total_frames), index.fps)
        if not index.is_counted:
            number = total_frames = 0
            for position, frames in self._whole_snippets(index):
                total_frames = position + 1
                if frames is not None:
                    number += 1
                    yield Snippet(video, frames)
            if number:
                yield Ended(video, number, total_frames)
                return
            index = replace(index, total_frames=total_frames)  # shorter than one snippet
        for frames in self._planned_snippets(index):
            yield Snippet(video, frames)
        yield Ended(video, self.plan.count(index.total_frames), index.total_frames)

    def _whole_snippets(self, index: VideoIndex) -> Iterator[tuple[int, np.ndarray | None]]:
        """Index of each frame of a video of unknown length, and the snippet that ends with this frame, if any."""
        plan = self.plan
        starts = {int(offset) % plan.stride: int(offset) for offset in plan.offsets[::-1]}
        kept: dict[int, np.ndarray] = {}
        number = 0

        def is_wanted(position: int) -> bool:
            return position >= starts.get(position % plan.stride, position + 1)

        for position, picture in self._pictures_in_order(index, is_wanted):
            if picture is not None:
                kept[position] = picture
            start = number * plan.stride
            if position < start + plan.snippet_len - 1:
                yield position, None
                continue
            yield position, np.stack([kept[start + offset] for offset in plan.offsets.tolist()])
            number += 1
            for old in [i for i in kept if i < number * plan.stride]:
                del kept[old]

    def _planned_snippets(self, index: VideoIndex) -> Iterator[np.ndarray]:
        inds = self.plan.frame_inds(index.total_frames)
        size = self.frame_size(index)
        if self.blank:
            black = np.zeros((inds.shape[1], *size, 3), np.uint8)
            for _ in inds:
                yield black
            return
        # Overlapping snippets, and those that repeat the last frame, share frames. Each frame is decoded once and kept
        # while later snippets need it.
        distinct = np.unique(inds)
        last_use = {int(i): s for s, row in enumerate(inds) for i in row}
        kept: dict[int, np.ndarray] = {}
        pictures = zip(distinct.tolist(), self._pictures(index, distinct, size), strict=True)
        newest = -1
        for number, row in enumerate(inds.tolist()):
            while newest < row[-1]:
                newest, picture = next(pictures)
                kept[newest] = picture
            yield np.stack([kept[i] for i in row])
            for i in [i for i in kept if last_use[i] <= number]:
                del kept[i]

    def frame_size(self, index: VideoIndex) -> tuple[int, int]:
        """Height and width of the scaled frames of a video."""
        if not isinstance(self.resize, int):
            return self.resize[0], self.resize[1]
        scale = self.resize / min(index.height, index.width)
        # The shorter side is exact; the longer side is rounded down, as in torchvision.
        return max(int(index.height * scale + 1e-6), self.resize), max(int(index.width * scale + 1e-6), self.resize)

    def _pictures(self, index: VideoIndex, inds: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
        if self.resizer == 'swscale':
            yield from stream_pyav(index, inds, size, self.interpolation)
            return
        for picture in stream_pyav(index, inds, (index.height, index.width), 'bicubic'):
            yield self._resized(picture, size)

    def _pictures_in_order(
        self, index: VideoIndex, is_wanted: Callable[[int], bool]
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        size = self.frame_size(index)
        if self.resizer == 'swscale':
            yield from stream_in_order(index, is_wanted, size, self.interpolation)
            return
        for position, picture in stream_in_order(index, is_wanted, (index.height, index.width), 'bicubic'):
            yield position, None if picture is None else self._resized(picture, size)

    def _resized(self, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        method = {'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}[self.interpolation]
        return cv2.resize(picture, size[::-1], interpolation=method)
