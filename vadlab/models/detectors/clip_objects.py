"""Objects of a whole clip with their measured attributes: streaming, in bounded memory, and cached by recipe."""

import hashlib
import json
import os
import queue
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.logging import MMLogger

from vadlab.datasets.video import index_video
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.npy_file import open_npz

_THUMB = 32  # side of the pictures in which cuts are looked for
_SMALL = 96  # longest side of the pictures in which motion is checked
_PARTS = 6  # rows and columns of parts of these
_HISTORY = 8  # frames with which a frame is compared
_JUMP = 8.0  # times their median residual, and
_DROP = 0.3  # below their median correlation: a cut
_LOOK_AHEAD = 4  # frames
_VERSION = 2  # of the measurements


@dataclass
class ClipObjects:
    """Objects of a clip, M of them, in the order of the frames.

    Attributes:
        total_frames (int): N.
        size (tuple[int, int]): Height and width of the video, in pixels.
        frame_inds (np.ndarray): int64, shape (M,).
        boxes_xyxy (np.ndarray): Pixels of the video, half-open, float32, shape (M, 4); NaN if the place is not known.
        class_scores (np.ndarray): float32, shape (M, C); NaN if they are not known.
        measured (dict[str, np.ndarray]): Measurements by attribute, shape (M, D).
        cuts (np.ndarray): First frames after a cut, int64.
    """

    total_frames: int
    size: tuple[int, int]
    frame_inds: np.ndarray
    boxes_xyxy: np.ndarray
    class_scores: np.ndarray
    measured: dict[str, np.ndarray]
    cuts: np.ndarray

    def __len__(self) -> int:
        return len(self.frame_inds)

    def with_more(self, attribute: str, frame_inds: np.ndarray, vectors: np.ndarray) -> 'ClipObjects':
        """The same with further objects, of which only one attribute is known.

        Args:
            attribute (str): Its name.
            frame_inds (np.ndarray): int64, shape (P,).
            vectors (np.ndarray): Shape (P, D).

        Raises:
            DataError: A frame is not in the clip.
        """
        if len(frame_inds) and frame_inds.max() >= self.total_frames:
            raise DataError(f'{attribute}: an object in frame {frame_inds.max()}, but the clip has {self.total_frames}')
        inds = np.concatenate([self.frame_inds, frame_inds])
        order = np.argsort(inds, kind='stable')

        def joined(values: np.ndarray, more: np.ndarray | None = None) -> np.ndarray:
            if more is None:
                more = np.full((len(frame_inds), *values.shape[1:]), np.nan, np.float32)
            return np.concatenate([values, more.astype(values.dtype)])[order]

        measured = {
            name: joined(values, vectors if name == attribute else None) for name, values in self.measured.items()
        }
        boxes, scores = joined(self.boxes_xyxy), joined(self.class_scores)
        return ClipObjects(self.total_frames, self.size, inds[order], boxes, scores, measured, self.cuts)

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields as arrays, for a file."""
        return {
            'shape': np.array([self.total_frames, *self.size]),
            'frame_inds': self.frame_inds,
            'boxes_xyxy': self.boxes_xyxy,
            'class_scores': self.class_scores.astype(np.float16),
            'cuts': self.cuts,
            **{f'measured_{name}': values for name, values in self.measured.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> 'ClipObjects':
        """Undo :meth:`arrays`.

        Raises:
            KeyError, ValueError: Arrays are missing, or do not fit.
        """
        total, height, width = arrays['shape'].tolist()
        measured = {k.removeprefix('measured_'): v for k, v in arrays.items() if k.startswith('measured_')}
        count = len(arrays['frame_inds'])
        if any(len(v) != count for v in (*measured.values(), arrays['boxes_xyxy'], arrays['class_scores'])):
            raise ValueError('arrays of different lengths')
        scores = arrays['class_scores'].astype(np.float32)
        return cls(total, (height, width), arrays['frame_inds'], arrays['boxes_xyxy'], scores, measured, arrays['cuts'])


class ObjectStream:
    """Finds the objects of a video frame by frame, and measures their attributes.

    ::

        decode -> flow between frames -> objects -> attributes
        (one thread ahead)               (the caller's thread)

    The motion of a frame is the flow from the frame before. For the first frame of a clip, and the first one after a
    cut, it is the flow to the next frame. A frame follows a cut, or a jump of the lights, if

    - the correlation of its 32 x 32 thumbnail with the one before is below ``cut_threshold``, and below the median of
      the eight frames before minus 0.3, so that noise is no cut, or
    - the flow does not explain it: its :func:`residual` is above ``cut_residual``, and above eight times the median of
      the eight frames before.

    Args:
        objects (nn.Module): With ``detect(frame, flow)`` and ``start_clip()``.
        flow (nn.Module): With ``flow(before, after)``.
        attributes (Mapping[str, Attribute]): By name.
        max_side (int | None): Larger videos are scaled so that their longer side has this many pixels.
        cut_threshold (float): -1..1.
        cut_residual (float): Share of the picture's variance, > 0; ``inf`` turns this test off.
        threads (int): 2 decodes and computes flow in a second thread.
        cache_dir (str | None): Folder for the results; None keeps none.
        recipe (dict): Everything that the results depend on, for their names in the cache.
    """

    def __init__(
        self,
        objects: Any,
        flow: Any,
        attributes: Mapping[str, Any],
        max_side: int | None = None,
        cut_threshold: float = 0.5,
        cut_residual: float = 0.04,
        threads: int = 1,
        cache_dir: str | None = None,
        recipe: dict | None = None,
    ) -> None:
        if threads not in (1, 2):
            raise ConfigError(f'threads must be 1 or 2, not {threads!r}')
        self.objects, self.flow, self.attributes = objects, flow, attributes
        self.max_side, self.threads = max_side, threads
        self.cut_threshold, self.cut_residual = cut_threshold, cut_residual
        self.cache_dir = cache_dir
        cut = [cut_threshold, cut_residual]
        settings = {'version': _VERSION, 'max_side': max_side, 'cut': cut, **(recipe or {})}
        self._recipe = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def read(self, path: str) -> ClipObjects:
        """The objects of a video, from the cache if it is unchanged, and those that attributes read from files.

        Raises:
            DamagedVideoError, MissingFileError: It cannot be read.
        """
        found = self._cached(path)
        for name, attribute in self.attributes.items():
            if hasattr(attribute, 'more_objects'):
                found = found.with_more(name, *attribute.more_objects(path))
        return found

    def _cached(self, path: str) -> ClipObjects:
        file = None if self.cache_dir is None else Path(self.cache_dir) / self._recipe / f'{_key(path)}.npz'
        if file is not None and file.is_file():
            try:
                return ClipObjects.from_arrays({name: load() for name, load in open_npz(file).items()})
            except (DataError, KeyError, ValueError) as error:
                MMLogger.get_current_instance().warning(f'{file} cannot be used and is made again ({error})')
        found = self.extract(path)
        if file is not None:
            with atomic_path(file) as part, open(part, 'wb') as out:
                np.savez(out, **found.arrays())  # type: ignore[arg-type]
        return found

    def extract(self, path: str) -> ClipObjects:
        """Find the objects of a video and measure them, without the cache."""
        index = index_video(path)
        size = (index.height, index.width)
        scale = min(1.0, (self.max_side or max(size)) / max(size))
        small = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
        back = np.array([size[1] / small[1], size[0] / small[0]] * 2, np.float32)
        self.objects.start_clip()
        frames, boxes, scores, cuts = [], [], [], []
        measured: dict[str, list[np.ndarray]] = {name: [] for name in self.attributes}
        greys = 0
        for number, frame, flow, is_cut in _ahead(self._moving(index, small), self.threads):
            greys += _is_grey(frame)
            if is_cut:
                cuts.append(number)
                self.objects.start_clip()
            motion = np.zeros((*small, 2), np.float32) if flow is None else flow
            found = self.objects.detect(frame, motion)
            frames.append(np.full(len(found), number, np.int64))
            boxes.append(found.boxes_xyxy * back)
            scores.append(found.class_scores)
            for name, attribute in self.attributes.items():
                measured[name].append(attribute.measure(frame, flow, found))
        if 0 < greys < index.total_frames:
            MMLogger.get_current_instance().warning(
                f'{path}: {greys} of {index.total_frames} frames are grey and the others in colour. Attributes of look '
                'may give high scores because of this change'
            )
        return ClipObjects(
            index.total_frames,
            size,
            np.concatenate(frames),
            np.concatenate(boxes),
            np.concatenate(scores),
            {name: np.concatenate(parts) for name, parts in measured.items()},
            np.array(cuts, np.int64),
        )

    def _moving(self, index: Any, size: tuple[int, int]) -> Iterator[tuple[int, np.ndarray, np.ndarray | None, bool]]:
        """Frames with their motion (None if there is no neighbour), and whether they follow a cut."""
        waiting: tuple[int, np.ndarray, bool] | None = None  # a frame whose motion is that to the next
        before: tuple[np.ndarray, np.ndarray] | None = None
        alike: deque[float] = deque([1.0], _HISTORY)  # correlations and residuals of the frames before
        left: deque[float] = deque(maxlen=_HISTORY)
        wanted = np.arange(index.total_frames)
        for number, frame in enumerate(stream_pyav(index, wanted, size, 'bicubic')):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
            flow = None
            is_cut = False
            if before is not None:
                same = correlation(before[1], thumb)
                is_cut = same < min(self.cut_threshold, float(np.median(alike)) - _DROP)
                alike.append(same)
            if before is not None and not is_cut:
                flow = self.flow.flow(before[0], grey)
                np.nan_to_num(flow, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
                share = residual(before[0], grey, flow)
                is_cut = bool(left) and share > max(self.cut_residual, _JUMP * float(np.median(left)))
                left.append(share)
            if before is None or is_cut:
                if waiting is not None:
                    yield waiting[0], waiting[1], None, waiting[2]
                waiting = (number, frame, is_cut)
            else:
                if waiting is not None:
                    yield waiting[0], waiting[1], flow, waiting[2]
                    waiting = None
                yield number, frame, flow, False
            before = (grey, thumb)
        if waiting is not None:
            yield waiting[0], waiting[1], None, waiting[2]


def residual(before: np.ndarray, after: np.ndarray, flow: np.ndarray) -> float:
    """Share of a picture that its motion does not explain, >= 0.

    The pictures are made smaller, and the later one is warped back by the flow. The mean squared error of each of 6 x 6
    parts is divided by the mean variance of the two pictures (at least 1). The result is the median of the parts, so
    that an object that appears at once changes it only if it covers half of the picture. 0 is a perfect prediction, and
    about 0.1 or more that of another picture.

    Args:
        before (np.ndarray): Grey, uint8, shape (H, W).
        after (np.ndarray): The same.
        flow (np.ndarray): From ``before`` to ``after``, pixels, float32, shape (H, W, 2).
    """
    height, width = after.shape
    scale = min(1.0, _SMALL / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    first, second = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) for picture in (before, after)
    )
    motion = cv2.resize(flow, size, interpolation=cv2.INTER_AREA) * np.array([size[0] / width, size[1] / height])
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    places = (x + motion[..., 0]).astype(np.float32), (y + motion[..., 1]).astype(np.float32)
    back = cv2.remap(second, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    variance = (float(first.var()) + float(second.var())) / 2
    parts = cv2.resize((back - first) ** 2, (_PARTS, _PARTS), interpolation=cv2.INTER_AREA)
    return float(np.median(parts)) / max(variance, 1.0)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two pictures; 1 if both are flat, 0 if one is."""
    a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    a, b = a - a.mean(), b - b.mean()
    lengths = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / lengths) if lengths > 0 else float(a @ a == b @ b)


def _is_grey(frame: np.ndarray) -> bool:
    part = frame[::8, ::8]
    return bool((part[..., 0] == part[..., 1]).all() and (part[..., 0] == part[..., 2]).all())


def _key(path: str) -> str:
    """Name of a video in the cache: its last name, and a hash of its path, size and time of change."""
    real = os.path.realpath(path)
    parts = [real]
    for name in sorted(os.listdir(real)) if os.path.isdir(real) else ['']:
        stat = os.stat(os.path.join(real, name) if name else real)
        parts.append(f'{name} {stat.st_size} {stat.st_mtime_ns}')
    return f'{Path(path).stem}-{hashlib.sha256(chr(10).join(parts).encode(errors="surrogateescape")).hexdigest()[:12]}'


def _ahead(items: Iterator[Any], threads: int) -> Iterator[Any]:
    """The items, computed up to four ahead in a second thread."""
    if threads == 1:
        yield from items
        return
    ready: queue.Queue[Any] = queue.Queue(_LOOK_AHEAD)
    stop = threading.Event()
    end = object()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(end)
        except BaseException as error:  # raised again by the caller
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
