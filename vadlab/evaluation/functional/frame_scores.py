"""Measures on per-frame anomaly scores, grouped by video."""

import warnings
from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

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
    chosen = [i for i, label in enumerate(labels) if np.any(label)]
    if not chosen:
        warnings.warn('Ano-AUC is NaN: no video has an anomalous frame', UserWarning, stacklevel=2)
        return float('nan')
    return roc_auc(
        rank_counts(np.concatenate([scores[i] for i in chosen]), np.concatenate([labels[i] for i in chosen]))
    )


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
    areas = []
    for score, label in zip(scores, labels, strict=True):
        score, label = np.asarray(score), np.asarray(label, dtype=bool)
        if mode != 'skip' and score.size and (score.min() < 0 or score.max() > 1):
            raise DataError(f'macro AUC mode {mode!r} needs scores in 0..1, not {score.min():.3g}..{score.max():.3g}')
        if mode == 'pad01':
            score, label = np.concatenate([[0], score, [1]]), np.concatenate([[False], label, [True]])
        elif mode == 'prepend_normal' and label.size and label.all():
            score, label = np.append(0, score), np.append(False, label)
        if label.any() and not label.all():
            areas.append(roc_auc(rank_counts(score, label)))
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
    frames = sum(len(score) for score in normal)
    if frames == 0:
        warnings.warn('FAR is NaN: no video is all-normal', UserWarning, stacklevel=2)
        return float('nan')
    return sum(int(np.count_nonzero(np.asarray(score) >= threshold)) for score in normal) / frames


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
