"""Measures on per-frame class probabilities."""

import warnings
from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import DataError

from .rank_pool import PooledCounts, RankPool
from .ranking import in_runs, roc_auc


def class_masks(intervals: Sequence[tuple[int, int, int]], num_frames: int, num_classes: int) -> np.ndarray:
    """Mask of the frames of each class.

    Args:
        intervals (Sequence): Class index, first frame, last frame + 1, 0-based, of each interval; parts outside the
            video are cut off.
        num_frames (int): N.
        num_classes (int): K, including Normal (index 0).

    Returns:
        np.ndarray: bool, shape (N, K); the column of Normal has the frames outside all intervals.

    Raises:
        DataError: A class index is outside 1..K-1.
    """
    masks = np.zeros((num_frames, num_classes), dtype=bool)
    for index, start, end in intervals:
        if not 0 < index < num_classes:
            raise DataError(f'an interval has the class index {index}; anomaly classes are 1 to {num_classes - 1}')
        masks[max(start, 0) : max(end, 0), index] = True
    masks[:, 0] = ~masks.any(axis=1)
    return masks


def class_wise_auc(scores: np.ndarray, masks: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """ROC AUC of each anomaly class against all other frames; mAUC is its mean (:func:`mean_class_auc`).

    Args:
        scores (np.ndarray): Class probabilities of all frames, Normal first, shape (N, K).
        masks (np.ndarray): Frames of each class, bool, shape (N, K).
        weights (np.ndarray | None): Number of frames of each row, integer, > 0, shape (N,); None: one each.

    Returns:
        np.ndarray: AUC of the classes 1..K-1, float64, shape (K - 1,); NaN for a class without frames, or with all.

    Raises:
        DataError: The shapes differ.
    """
    scores, masks = np.asarray(scores), np.asarray(masks, dtype=bool)
    if weights is None and len(scores) and scores.shape == masks.shape:
        (scores, masks), weights = in_runs(scores, masks)
    return class_wise_auc_of_parts([scores], [masks], None if weights is None else [np.asarray(weights)])


def class_wise_auc_of_parts(
    scores: Sequence[np.ndarray], masks: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None
) -> np.ndarray:
    """:func:`class_wise_auc` of the rows of all parts, which are joined one column at a time.

    Args:
        scores (Sequence[np.ndarray]): Class probabilities of each part, shape (N, K).
        masks (Sequence[np.ndarray]): Frames of each class, bool, shape (N, K).
        weights (Sequence[np.ndarray] | None): Number of frames of each row, shape (N,); None: one each.

    Raises:
        DataError: The shapes differ.
    """
    for score, mask in zip(scores, masks, strict=True):
        if score.ndim != 2 or score.shape != mask.shape or score.shape[1] != scores[0].shape[1]:
            raise DataError(
                f'class scores have the shape {score.shape}, their truth {mask.shape}; expected (N, K) of both'
            )
    areas = np.full(scores[0].shape[1] - 1, np.nan)
    repeats = None if weights is None else np.concatenate(weights)
    for index in range(1, scores[0].shape[1]):
        pool = RankPool()
        column, truth = (np.concatenate([part[:, index] for part in parts]) for parts in (scores, masks))
        pool.add(column, truth, repeats)
        counts = PooledCounts([pool])
        if not counts.single_class:
            areas[index - 1] = roc_auc(counts)
    return areas


def mean_class_auc(areas: np.ndarray) -> float:
    """mAUC: mean of :func:`class_wise_auc` over the classes with frames; NaN, with a warning, if there are none."""
    if np.isnan(areas).all():
        warnings.warn('mAUC is NaN: no anomaly class has frames', UserWarning, stacklevel=2)
        return float('nan')
    return float(np.nanmean(areas))
