"""Ranking measures of frame scores: ROC and precision-recall curves, from a single sort."""

import warnings
from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

AP_MODES = ('step', 'trapezoid')


@dataclass(frozen=True)
class RankCounts:
    """Cumulative counts of frames at or above each distinct score, from the highest score down.

    Attributes:
        thresholds (np.ndarray): The K distinct scores, descending, shape (K,).
        positives (np.ndarray): Weight of the anomalous frames with at least that score, shape (K,).
        negatives (np.ndarray): Weight of the normal frames with at least that score, shape (K,).
    """

    thresholds: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def single_class(self) -> bool:
        """Whether there is at most one class: no anomalous frame, or no normal one."""
        return self.positives[-1] == 0 or self.negatives[-1] == 0


def run_starts(*arrays: np.ndarray) -> np.ndarray:
    """Start indices of runs of equal entries.

    Args:
        *arrays (np.ndarray): Arrays of one length N > 0, shape (N, ...); a run ends where any of them changes.

    Returns:
        np.ndarray: Ascending, the first is 0, int64, shape (number of runs,).
    """
    changed = np.zeros(len(arrays[0]) - 1, dtype=bool)
    for array in arrays:
        differs = array[1:] != array[:-1]
        changed |= differs if differs.ndim == 1 else differs.any(axis=tuple(range(1, differs.ndim)))
    return np.concatenate([[0], np.flatnonzero(changed) + 1])


def rank_counts(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> RankCounts:
    """Sort scores and count at every distinct score; all measures below are computed from these counts.

    Args:
        scores (np.ndarray): Any float or integer, higher is more anomalous, shape (N,).
        labels (np.ndarray): bool or 0 / 1, shape (N,).
        weights (np.ndarray | None): Weight of each entry, > 0, shape (N,), such as the number of frames of a snippet.
            The result is the same as if each entry were repeated.

    Returns:
        RankCounts: Exact integers if ``weights`` is None or has integers.

    Raises:
        DataError: There are no scores, shapes differ, scores are not finite, or labels are not 0 or 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if labels.dtype != bool and scores.shape == labels.shape:
        if not ((labels == 0) | (labels == 1)).all():
            raise DataError('labels hold other values than 0 (normal) and 1 (anomalous)')
        labels = labels.astype(bool)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise DataError(f'scores have the shape {scores.shape} and labels {labels.shape}; expected (N,) of both')
    if scores.size == 0:
        raise DataError('There is no score to rank: the test set has no frame')
    if scores.dtype.kind == 'f' and not np.isfinite(scores).all():
        bad = int(np.count_nonzero(~np.isfinite(scores)))
        raise DataError(f'{bad} of {scores.size} scores are NaN or infinite; the model has diverged or overflowed')
    if weights is None:
        # A snippet's score repeats for its 16 frames, so runs of equal frames are sorted instead of frames.
        starts = run_starts(scores, labels)
        if 2 * starts.size <= scores.size:
            weights = np.diff(starts, append=scores.size)
            scores, labels = scores[starts], labels[starts]

    order = np.argsort(scores)[::-1]
    ranked = scores[order]
    last_of_ties = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    if weights is None:
        positives = np.cumsum(labels[order], dtype=np.int64)[last_of_ties]
        everything = last_of_ties + 1
    else:
        weights = np.asarray(weights)
        if weights.shape != scores.shape or not (weights > 0).all():
            raise DataError(f'weights have the shape {weights.shape}; expected {scores.shape}, all above 0')
        weights = weights[order]
        positives = np.cumsum(np.where(labels[order], weights, 0))[last_of_ties]
        everything = np.cumsum(weights)[last_of_ties]
    return RankCounts(ranked[last_of_ties], positives, everything - positives)


def _nan_for_single_class(counts: RankCounts, what: str) -> bool:
    if counts.single_class:
        kind = 'anomalous' if counts.positives[-1] == 0 else 'normal'
        warnings.warn(f'{what} is NaN: there is no {kind} frame', UserWarning, stacklevel=3)
    return counts.single_class


def roc_curve(counts: RankCounts) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, float64, shape (K + 1,) each, starting at (0, 0); NaN for a missing class."""
    with np.errstate(invalid='ignore'):
        fpr = np.append(0, counts.negatives) / counts.negatives[-1]
        tpr = np.append(0, counts.positives) / counts.positives[-1]
    return fpr, tpr


def precision_recall_curve(counts: RankCounts) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall, float64, shape (K + 1,) each, starting at precision 1, recall 0."""
    with np.errstate(invalid='ignore'):
        recall = np.append(0, counts.positives) / counts.positives[-1]
    precision = np.append(1.0, counts.positives / (counts.positives + counts.negatives))
    return precision, recall


def roc_auc(counts: RankCounts) -> float:
    """Area under the ROC curve: probability that an anomalous frame scores higher than a normal one; ties count half.

    Args:
        counts (RankCounts): From :func:`rank_counts`.

    Returns:
        float: 0..1; NaN, with a warning, if one class is missing.
    """
    if _nan_for_single_class(counts, 'ROC AUC'):
        return float('nan')
    normal = np.diff(counts.negatives, prepend=0)
    twice_below = counts.positives + np.append(0, counts.positives[:-1])
    # At most (1e6)^2 for integer counts: exact in int64.
    area = (normal * twice_below).sum()
    return float(area / (2.0 * counts.positives[-1] * counts.negatives[-1]))


def average_precision(counts: RankCounts, mode: str = 'step') -> float:
    """Area under the precision-recall curve.

    Args:
        counts (RankCounts): From :func:`rank_counts`.
        mode (str): ``step``: precision at each step of recall (scikit-learn's; used by VadCLIP). ``trapezoid``: linear
            between the points of the curve (used by RTFM and XDVioDet; more optimistic).

    Returns:
        float: 0..1; NaN, with a warning, if one class is missing.

    Raises:
        ConfigError: ``mode`` is unknown.
    """
    if mode not in AP_MODES:
        raise ConfigError(f'AP mode is {mode!r}; choose one of {", ".join(AP_MODES)}')
    if _nan_for_single_class(counts, 'AP'):
        return float('nan')
    precision, recall = precision_recall_curve(counts)
    height = precision[1:] if mode == 'step' else (precision[1:] + precision[:-1]) / 2
    return float(np.dot(np.diff(recall), height))


def equal_error_rate(counts: RankCounts) -> float:
    """Equal error rate: point of the ROC curve, linear between its points, at which the two error rates are equal.

    Args:
        counts (RankCounts): From :func:`rank_counts`.

    Returns:
        float: 0..1, lower is better; NaN, with a warning, if one class is missing.
    """
    if _nan_for_single_class(counts, 'EER'):
        return float('nan')
    fpr, tpr = roc_curve(counts)
    excess = fpr - (1 - tpr)  # increases from -1 at the origin to +1
    after = int(np.argmax(excess >= 0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))
