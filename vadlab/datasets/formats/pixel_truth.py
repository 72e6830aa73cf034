"""Pixel masks of one clip in the formats of UCSD Ped, CUHK Avenue, ShanghaiTech and UBnormal, and their regions."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vadlab.utils.errors import DataError
from vadlab.utils.mat_file import read_mat
from vadlab.utils.npy_file import read_npy

from ..video.image_reader import read_image
from .pixel_masks import mask_pictures

KINDS = ('pictures', 'mat', 'npy', 'ubnormal')


@dataclass(frozen=True)
class PixelTruth:
    """Where the pixel masks of a clip are; read only when they are used.

    Attributes:
        kind (str): ``pictures``: a folder with one picture per frame, not 0 where anomalous. ``mat``: Avenue's
            ``volLabel``. ``npy``: ShanghaiTech's array. ``ubnormal``: a folder with ``NAME_0012_gt.png``, one value per
            anomaly, and ``NAME_tracks.txt`` that says which values are anomalous.
        path (str): The folder or file.
    """

    kind: str
    path: str

    def read(self, total_frames: int, size: tuple[int, int]) -> np.ndarray:
        """The masks.

        Args:
            total_frames (int): Frames of the clip.
            size (tuple[int, int]): Height and width of its frames, in pixels.

        Returns:
            np.ndarray: Anomalous pixels, bool, shape (total_frames, height, width).

        Raises:
            DataError: Masks cannot be read, or have another count or size than the frames.
        """
        masks = getattr(self, f'_read_{self.kind}')(total_frames, size)
        if len(masks) != total_frames:
            raise DataError(f'{self.path}: {len(masks)} masks for {total_frames} frames')
        for number, mask in enumerate(masks):
            if mask.shape != size:
                shape = 'x'.join(map(str, mask.shape))
                raise DataError(f'{self.path}: mask {number} has {shape} pixels, its frame {size[0]}x{size[1]}')
        return np.stack(masks) if len(masks) else np.zeros((0, *size), bool)

    def _read_pictures(self, total_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
        return [np.asarray(read_image(str(path)).any(axis=2), bool) for path in mask_pictures(Path(self.path))]

    def _read_mat(self, total_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
        cells = read_mat(self.path, 'volLabel')
        if cells is None or not len(cells):
            raise DataError(f'{self.path} has no volLabel')
        cells = cells if isinstance(cells, list) else list(np.moveaxis(np.atleast_3d(cells), 2, 0))
        return [np.asarray(cell, bool) for cell in cells]

    def _read_npy(self, total_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
        masks = read_npy(self.path)
        if masks.ndim != 3 or masks.dtype.kind not in 'biuf':
            raise DataError(f'{self.path}: {masks.dtype} of shape {masks.shape}; wanted masks of shape (N, H, W)')
        return [np.asarray(mask, bool) for mask in masks]

    def _read_ubnormal(self, total_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
        from .one_class_truth import read_ubnormal_tracks

        masks = [np.zeros(size, bool) for _ in range(total_frames)]
        folder = Path(self.path)
        name = folder.name.removesuffix('_annotations')
        for track, start, end in read_ubnormal_tracks(folder / f'{name}_tracks.txt'):
            for frame in range(start, min(end, total_frames)):
                values = read_image(str(folder / f'{name}_{frame:04d}_gt.png'))[..., 0]
                if values.shape != size:
                    raise DataError(f'{folder}: the mask of frame {frame} has {values.shape} pixels, the video {size}')
                masks[frame] |= values == track
        return masks


def mask_regions(masks: np.ndarray, min_area: int = 1) -> dict[str, np.ndarray]:
    """True regions as the connected components of masks, linked to tracks.

    A component (8-connected) continues the track of the component of the frame before with which it shares most pixels;
    without a shared pixel it starts a track. If two continue the same track, the one with more shared pixels does, and
    the other one starts a track. Published tracks are drawn by hand: numbers on these regions are not comparable to
    theirs.

    Args:
        masks (np.ndarray): bool, shape (N, H, W).
        min_area (int): Smaller components are dropped, in pixels.

    Returns:
        dict[str, np.ndarray]: ``track_ids`` int64 (G,), ``frame_inds`` int64 (G,), ``boxes_xyxy`` float32 (G, 4), the
        last pixels included.
    """
    tracks: list[int] = []
    frames: list[int] = []
    boxes: list[list[int]] = []
    before: np.ndarray | None = None
    names: dict[int, int] = {}  # track of each component of the frame before
    next_track = 0
    for frame, mask in enumerate(masks):
        if not mask.any():
            before = None
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        found: dict[int, int] = {}
        if before is not None:
            here = labels > 0
            pairs, shared = np.unique(np.stack([labels[here], before[here]]), axis=1, return_counts=True)
            taken: set[int] = set()
            for place in np.argsort(-shared, kind='stable'):
                new, old = (int(value) for value in pairs[:, place])
                if old and new not in found and old not in taken and old in names:
                    found[new] = names[old]
                    taken.add(old)
        named = {}
        for component in range(1, count):
            x, y, width, height, area = stats[component].tolist()
            if area < min_area:
                continue
            if component not in found:
                found[component], next_track = next_track, next_track + 1
            named[component] = found[component]
            tracks.append(found[component])
            frames.append(frame)
            boxes.append([x, y, x + width - 1, y + height - 1])
        before, names = labels, named
    return {
        'track_ids': np.array(tracks, np.int64),
        'frame_inds': np.array(frames, np.int64),
        'boxes_xyxy': np.array(boxes, np.float32).reshape(-1, 4),
    }
