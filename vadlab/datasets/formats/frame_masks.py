"""ShanghaiTech's ground truth: a folder with one frame mask per video."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.npy_file import read_npy

from .temporal_annotations import ClassInterval, TemporalAnnotation


def frame_mask_files(folder: str | Path) -> dict[str, Path]:
    """Mask files of a folder by video id, in the order of their names.

    Raises:
        MissingFileError: There is no such folder, or no ``.npy`` file in it.
    """
    folder = Path(folder)
    paths = natural_sorted(folder.glob('*.npy')) if folder.is_dir() else []
    if not paths:
        raise MissingFileError(
            f'There is no frame mask (NAME.npy) in {folder}. Check the path (in configs: data_root, temporal_ann_file).'
        )
    return {path.stem: path for path in paths}


def read_frame_masks(folder: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read masks of anomalous frames from a folder of ``NAME.npy`` files.

    Args:
        folder (str | Path): Its files hold one number per frame, 0 for normal, shape (N,).
        names (Collection[str] | None): Videos to read; None reads all.

    Returns:
        dict[str, np.ndarray]: By video id: bool, shape (N,); N is the video's number of frames.

    Raises:
        MissingFileError: There is no such folder, or no ``.npy`` file in it.
        DataError: Some files are not frame masks; all of them are counted.
    """
    files = {name: path for name, path in frame_mask_files(folder).items() if names is None or name in names}
    masks, faults = {}, []
    for name, path in files.items():
        try:
            mask = read_npy(path)
        except DataError as error:
            faults.append(str(error))
            continue
        if mask.ndim != 1 or mask.dtype.kind not in 'biuf':
            faults.append(f'{path.name}: {mask.dtype} of shape {mask.shape}; wanted one number per frame, shape (N,)')
            continue
        if mask.dtype.kind == 'f' and not (np.isfinite(mask) & (mask == np.round(mask))).all():
            faults.append(f'{path.name}: holds fractions or NaN, as scores do; wanted 0 for normal, 1 for others')
            continue
        masks[name] = mask != 0
    if faults:
        raise DataError(f'{folder}: {len(faults)} of {len(files)} files are not frame masks (first: {faults[0]})')
    return masks


def mask_to_intervals(mask: np.ndarray) -> np.ndarray:
    """Intervals of consecutive anomalous frames.

    >>> mask_to_intervals(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]

    Args:
        mask (np.ndarray): bool, shape (N,).

    Returns:
        np.ndarray: Half-open ``[start, end)``, int64, shape (K, 2).
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def annotate_masks(masks: Mapping[str, np.ndarray]) -> dict[str, TemporalAnnotation]:
    """Convert frame masks to temporal annotations, without classes.

    Args:
        masks (Mapping[str, np.ndarray]): Masks by video id: bool, shape (N,).
    """
    return {
        name: TemporalAnnotation.of('', [ClassInterval('', *pair) for pair in mask_to_intervals(mask).tolist()])
        for name, mask in masks.items()
    }
