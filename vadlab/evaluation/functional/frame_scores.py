"""Measures on per-frame anomaly scores, grouped by video."""

import warnings
from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

from .rank_pool import PooledCounts, RankPool
from .ranking import rank_counts, roc_auc

MACRO_MODES = ('skip', 'prepend_normal', 'pad01')
VIDEO_MODES = ('max', 'top_mean')


def ano_auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """ROC AUC over the frames of the videos that have an anomalous frame.

    It measures localisation in time, not the separation of anomalous and normal videos.

    Args:
        scores (Sequence[np.ndarray]): Scores per video, shape (N,).
        labels (Sequence[np.ndarray]): Labels per video, bool, shape (N,).

    Returns:
        float: 0..1; NaN, with a warning, if these frames have one class or there are none.
    """
    pool = RankPool()
    for score, label in zip(scores, labels, strict=True):
        if np.any(label):
            pool.add(score, label)
    return ano_auc_of(pool)


def ano_auc_of(pool: RankPool) -> float:
    """:func:`ano_auc` of a pool that holds the frames of the videos with an anomalous frame."""
    if not pool.total:
        warnings.warn('Ano-AUC is NaN: no video has an anomalous frame', UserWarning, stacklevel=2)
        return float('nan')
    return roc_auc(PooledCounts([pool]))


def macro_auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], mode: str = 'skip') -> float:
    """Mean of the ROC AUCs of the videos.

    Args:
        scores (Sequence[np.ndarray]): Scores per video, shape (N,); 0..1 unless ``mode`` is ``skip``.
        labels (Sequence[np.ndarray]): Labels per video, bool, shape (N,).
        mode (str): Treatment of videos with frames of one class. ``skip``: skipped. ``prepend_normal``: a normal frame
            of score 0 is put before a video without normal frames; all-normal videos are skipped. ``pad01``: every
            video, of any classes, gets a normal frame of score 0 and an anomalous one of score 1.

    Returns:
        float: 0..1; NaN, with a warning, if no video is left.

    Raises:
        ConfigError: ``mode`` is unknown.
        DataError: Scores are outside 0..1 and ``mode`` adds frames of score 0 or 1.
    """
    if mode not in MACRO_MODES:
        raise ConfigError(f'macro AUC mode is {mode!r}; choose one of {", ".join(MACRO_MODES)}')
    areas = [video_area(score, label, mode) for score, label in zip(scores, labels, strict=True)]
    return mean_area([area for area in areas if area is not None])


def video_area(
    scores: np.ndarray, labels: np.ndarray, mode: str = 'skip', weights: np.ndarray | None = None
) -> float | None:
    """ROC AUC of one video for :func:`macro_auc`; None if ``mode`` skips the video.

    Args:
        scores (np.ndarray): Shape (N,); 0..1 unless ``mode`` is ``skip``.
        labels (np.ndarray): bool, shape (N,).
        mode (str): See :func:`macro_auc`.
        weights (np.ndarray | None): Number of frames of each entry, > 0, shape (N,); None: one each.

    Raises:
        DataError: Scores are outside 0..1 and ``mode`` adds frames of score 0 or 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=bool)
    if mode != 'skip' and scores.size and (scores.min() < 0 or scores.max() > 1):
        raise DataError(f'macro AUC mode {mode!r} needs scores in 0..1, not {scores.min():.3g}..{scores.max():.3g}')
    if mode == 'pad01':
        scores, labels = np.concatenate([[0], scores, [1]]), np.concatenate([[False], labels, [True]])
        weights = None if weights is None else np.concatenate([[1], weights, [1]])
    elif mode == 'prepend_normal' and labels.size and labels.all():
        scores, labels = np.append(0, scores), np.append(False, labels)
        weights = None if weights is None else np.append(1, weights)
    if labels.any() and not labels.all():
        return roc_auc(rank_counts(scores, labels, weights))
    return None


def mean_area(areas: Sequence[float]) -> float:
    """Macro AUC: mean of the areas of videos; NaN, with a warning, if there are none."""
    if not areas:
        warnings.warn('macro AUC is NaN: no video has frames of both classes', UserWarning, stacklevel=2)
        return float('nan')
    return float(np.mean(areas))


def false_alarm_rate(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], threshold: float = 0.5) -> float:
    """FAR: share of the frames of all-normal videos whose score reaches the threshold.

    Args:
        scores (Sequence[np.ndarray]): Anomaly probabilities per video, 0..1, shape (N,).
        labels (Sequence[np.ndarray]): Labels per video, bool, shape (N,).
        threshold (float): Scores at or above it are alarms.

    Returns:
        float: 0..1, lower is better; NaN, with a warning, if no video is all-normal.
    """
    normal = [score for score, label in zip(scores, labels, strict=True) if not np.any(label)]
    return alarm_rate(sum(count_alarms(score, threshold) for score in normal), sum(map(len, normal)))


def count_alarms(scores: np.ndarray, threshold: float, weights: np.ndarray | None = None) -> int:
    """Number of frames whose score reaches the threshold.

    Args:
        scores (np.ndarray): Shape (N,).
        threshold (float): Scores at or above it are alarms.
        weights (np.ndarray | None): Number of frames of each entry, integer, shape (N,); None: one each.
    """
    alarms = np.asarray(scores) >= threshold
    return int(np.count_nonzero(alarms) if weights is None else weights[alarms].sum(dtype=np.int64))


def alarm_rate(alarms: int, frames: int) -> float:
    """FAR from the number of alarms and of frames of all-normal videos; NaN, with a warning, if there is no frame."""
    if frames == 0:
        warnings.warn('FAR is NaN: no video is all-normal', UserWarning, stacklevel=2)
        return float('nan')
    return alarms / frames


def video_score(scores: np.ndarray, mode: str = 'max') -> float:
    """Score of a video from the scores of its frames.

    Args:
        scores (np.ndarray): Scores of its frames, shape (N,).
        mode (str): ``max``, or ``top_mean``: mean of the highest sixteenth, ``max(1, N // 16)`` frames.

    Raises:
        ConfigError: ``mode`` is unknown.
        DataError: The video has no frame.
    """
    scores = np.asarray(scores)
    if mode not in VIDEO_MODES:
        raise ConfigError(f'video score mode is {mode!r}; choose one of {", ".join(VIDEO_MODES)}')
    if scores.size == 0:
        raise DataError('A video without frames has no score')
    if mode == 'max':
        return float(scores.max())
    top = max(1, scores.size // 16)
    return float(np.partition(scores, -top)[-top:].mean(dtype=np.float64))
