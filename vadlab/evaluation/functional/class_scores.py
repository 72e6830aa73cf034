"""Measures on per-frame class probabilities."""

import warnings
from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import DataError

from .ranking import rank_counts, roc_auc, run_starts


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
        weights (np.ndarray | None): Weight of each row, see :func:`~vadlab.evaluation.functional.rank_counts`.

    Returns:
        np.ndarray: AUC of the classes 1..K-1, float64, shape (K - 1,); NaN for a class without frames, or with all.

    Raises:
        DataError: The shapes differ.
    """
    scores, masks = np.asarray(scores), np.asarray(masks, dtype=bool)
    if scores.ndim != 2 or scores.shape != masks.shape:
        raise DataError(
            f'class scores have the shape {scores.shape}, their truth {masks.shape}; expected (N, K) of both'
        )
    if weights is None and len(scores):
        starts = run_starts(scores, masks)
        weights = np.diff(starts, append=len(scores))
        scores, masks = scores[starts], masks[starts]
    areas = np.full(scores.shape[1] - 1, np.nan)
    for index in range(1, scores.shape[1]):
        counts = rank_counts(np.ascontiguousarray(scores[:, index]), masks[:, index], weights)
        if not counts.single_class:
            areas[index - 1] = roc_auc(counts)
    return areas


def mean_class_auc(areas: np.ndarray) -> float:
    """mAUC: mean of :func:`class_wise_auc` over the classes with frames; NaN, with a warning, if there are none."""
    if np.isnan(areas).all():
        warnings.warn('mAUC is NaN: no anomaly class has frames', UserWarning, stacklevel=2)
        return float('nan')
    return float(np.nanmean(areas))
