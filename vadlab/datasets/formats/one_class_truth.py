"""Frame truth of one-class test sets, in the published formats: UCSD's ``.m``, ``gt`` of ``.mat``, MNAD's
``frame_labels_*.npy`` and UBnormal's tracks.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vadlab.utils.errors import DataError
from vadlab.utils.mat_file import read_mat
from vadlab.utils.npy_file import read_npy
from vadlab.utils.text_file import read_lines, read_text

_ENTRY = re.compile(r'TestVideoFile\s*\{\s*end\s*\+\s*1\s*\}\s*\.gt_frame\s*=\s*\[([^\]]*)\]')
_RANGE = re.compile(r'(\d+)(?:\s*:\s*(\d+))?')
_MOST_DIGITS = 9


def read_ucsd_intervals(path: str | Path) -> list[np.ndarray]:
    """Anomalous frames of UCSD's test clips, from ``UCSDped1.m`` or ``UCSDped2.m``, in the order of the clips.

    Returns:
        list[np.ndarray]: Half-open 0-based intervals, int64, shape (K, 2) each.

    Raises:
        MissingFileError: There is no such file.
        DataError: It has no ``TestVideoFile{end+1}.gt_frame = [61:180];``, or a range ends before it starts.
    """
    clips: list[np.ndarray] = []
    for entry in _ENTRY.findall(read_text(path)):
        pairs = []
        for first, last in _RANGE.findall(entry):
            if max(len(first), len(last)) > _MOST_DIGITS:
                raise DataError(f'{path}: a frame number of clip {len(clips) + 1} has more than {_MOST_DIGITS} digits')
            start, end = int(first), int(last or first)
            if not 1 <= start <= end:
                raise DataError(f'{path}: clip {len(clips) + 1} has the frames {start}:{end}; they count from 1')
            pairs.append((start - 1, end))
        clips.append(np.array(pairs, np.int64).reshape(-1, 2))
    if not clips:
        raise DataError(f'{path} has no line such as TestVideoFile{{end+1}}.gt_frame = [61:180];')
    return clips


def read_mat_intervals(path: str | Path) -> list[np.ndarray] | None:
    """Anomalous frames of all test clips, from the cell array ``gt`` of ``ped2.mat``, ``avenue.mat`` and so on.

    Each cell has two rows, first and last frame of each interval, counted from 1.

    Returns:
        list[np.ndarray] | None: Half-open 0-based intervals, int64, shape (K, 2) per clip; None without ``gt``.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, or a cell has another shape.
    """
    cells = read_mat(path, 'gt')
    if cells is None:
        return None
    clips: list[np.ndarray] = []
    for number, cell in enumerate(cells, start=1):
        cell = np.asarray(cell)
        if cell.size == 0:
            clips.append(np.zeros((0, 2), np.int64))
            continue
        if cell.ndim != 2 or cell.shape[0] != 2:
            raise DataError(
                f'{path}: gt of clip {number} has the shape {cell.shape}; wanted (2, K): first, last frames'
            )
        first, last = cell.astype(np.float64)
        if not (np.isfinite(cell).all() and (first >= 1).all() and (first <= last).all() and (last < 1e9).all()):
            raise DataError(
                f'{path}: gt of clip {number} has a frame below 1, or an interval that ends before it starts'
            )
        clips.append(np.stack([first - 1, last], axis=1).astype(np.int64))
    return clips


def read_joined_labels(path: str | Path, num_frames: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Frame labels of all test clips in one array, as MNAD's ``frame_labels_ped2.npy``.

    Args:
        path (str | Path): The file: 0 or 1 for each frame of all clips in the order of their names, shape (1, N).
        num_frames (Mapping[str, int]): Frames of each clip, in this order.

    Returns:
        dict[str, np.ndarray]: bool, shape (N,) per clip.

    Raises:
        MissingFileError: There is no such file.
        DataError: The count of labels and frames differ, or it holds other numbers.
    """
    labels = read_npy(path)
    if labels.dtype.kind not in 'biuf' or not np.isin(labels, (0, 1)).all():
        raise DataError(f'{path} holds other numbers than 0 and 1')
    labels = labels.reshape(-1)
    total = sum(num_frames.values())
    if len(labels) != total:
        raise DataError(
            f'{path} has {len(labels)} labels, the {len(num_frames)} test clips have {total} frames. It labels all '
            "clips of the set one after the other: with fewer, use another truth (labels='masks' or 'intervals')"
        )
    ends = np.cumsum(list(num_frames.values()))
    return {name: part != 0 for name, part in zip(num_frames, np.split(labels, ends[:-1]), strict=True)}


def read_ubnormal_tracks(path: str | Path) -> list[tuple[int, int, int]]:
    """Anomalies of a video of UBnormal, from ``NAME_tracks.txt`` (Acsintoae et al., CVPR 2022).

    Returns:
        list[tuple[int, int, int]]: Value in the masks, first frame, frame after the last, of each anomaly.

    Raises:
        MissingFileError: There is no such file.
        DataError: A row is not ``track,first,last``.
    """
    tracks = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            track, first, last = (int(float(cell)) for cell in line.split(','))
        except (ValueError, OverflowError):
            raise DataError(f'{path}, line {number}: {line[:60]!r}. A row is track,first frame,last frame') from None
        if not 0 <= first <= last < 10**_MOST_DIGITS:
            raise DataError(f'{path}, line {number}: frames {first} to {last}')
        tracks.append((track, first, last + 1))
    return tracks
