"""Objects of a whole clip with their measured attributes: streaming, in bounded memory, and cached by recipe."""

import hashlib
import json
import os
import queue
import threading
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
_LOOK_AHEAD = 4  # frames
_VERSION = 1  # of the measurements


@dataclass
class ClipObjects:
    """Objects of a clip, M of them, in the order of the frames.

    Attributes:
        total_frames (int): N.
        size (tuple[int, int]): Height and width of the video, in pixels.
        frame_inds (np.ndarray): int64, shape (M,).
        boxes_xyxy (np.ndarray): Pixels of the video, half-open, float32, shape (M, 4).
        class_scores (np.ndarray): float32, shape (M, C).
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
    cut, it is the flow to the next frame. A frame follows a cut if the correlation of its 32 x 32 thumbnail with the
    one before is below ``cut_threshold``.

    Args:
        objects (nn.Module): With ``detect(frame, flow)`` and ``start_clip()``.
        flow (nn.Module): With ``flow(before, after)``.
        attributes (Mapping[str, Attribute]): By name.
        max_side (int | None): Larger videos are scaled so that their longer side has this many pixels.
        cut_threshold (float): -1..1.
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
        threads: int = 1,
        cache_dir: str | None = None,
        recipe: dict | None = None,
    ) -> None:
        if threads not in (1, 2):
            raise ConfigError(f'threads must be 1 or 2, not {threads!r}')
        self.objects, self.flow, self.attributes = objects, flow, attributes
        self.max_side, self.cut_threshold, self.threads = max_side, cut_threshold, threads
        self.cache_dir = cache_dir
        settings = {'version': _VERSION, 'max_side': max_side, 'cut': cut_threshold, **(recipe or {})}
        self._recipe = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def read(self, path: str) -> ClipObjects:
        """The objects of a video, from the cache if it is unchanged.

        Raises:
            DamagedVideoError, MissingFileError: It cannot be read.
        """
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
        wanted = np.arange(index.total_frames)
        for number, frame in enumerate(stream_pyav(index, wanted, size, 'bicubic')):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
            is_cut = before is not None and correlation(before[1], thumb) < self.cut_threshold
            if before is None or is_cut:
                if waiting is not None:
                    yield waiting[0], waiting[1], None, waiting[2]
                waiting = (number, frame, is_cut)
            else:
                flow = self.flow.flow(before[0], grey)
                np.nan_to_num(flow, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
                if waiting is not None:
                    yield waiting[0], waiting[1], flow, waiting[2]
                    waiting = None
                yield number, frame, flow, False
            before = (grey, thumb)
        if waiting is not None:
            yield waiting[0], waiting[1], None, waiting[2]


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
