"""Ranking measures of frame scores: ROC and precision-recall curves, from a single sort."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

AP_MODES = ('step', 'trapezoid')

_MOST_EXACT = 2.0**62  # products of counts below it fit int64


class Counts(Protocol):
    """Cumulative counts of two classes at every distinct score; in one piece or in several blocks."""

    @property
    def totals(self) -> tuple[int, int]:
        """Weight of all anomalous and of all normal frames."""

    def blocks(self) -> Iterator['RankCounts']:
        """The counts from the highest score down; each block continues the counts of the one before."""


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
    def totals(self) -> tuple[int, int]:
        """Weight of all anomalous and of all normal frames."""
        return self.positives[-1].item(), self.negatives[-1].item()

    @property
    def single_class(self) -> bool:
        """Whether there is at most one class: no anomalous frame, or no normal one."""
        return 0 in self.totals

    def blocks(self) -> Iterator['RankCounts']:
        """These counts, as the only block."""
        yield self


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


def checked_ranking(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels as bool.

    Raises:
        DataError: Shapes differ, scores are not finite, or labels are not 0 or 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if labels.dtype != bool and scores.shape == labels.shape:
        if not ((labels == 0) | (labels == 1)).all():
            raise DataError('labels hold other values than 0 (normal) and 1 (anomalous)')
        labels = labels.astype(bool)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise DataError(f'scores have the shape {scores.shape} and labels {labels.shape}; expected (N,) of both')
    if scores.dtype.kind == 'f' and not np.isfinite(scores).all():
        bad = int(np.count_nonzero(~np.isfinite(scores)))
        raise DataError(f'{bad} of {scores.size} scores are NaN or infinite; the model has diverged or overflowed')
    return scores, labels


def in_runs(*arrays: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray | None]:
    """One entry per run of equal entries, if that halves the arrays: a snippet's score repeats for its frames.

    Args:
        *arrays (np.ndarray): Arrays of one length N, shape (N, ...).

    Returns:
        tuple[tuple[np.ndarray, ...], np.ndarray | None]: The arrays with R entries each, and the lengths of the runs,
        int32, shape (R,). If runs are shorter than two entries on average: the arrays as they are, and None.
    """
    total = len(arrays[0])
    if total:
        starts = run_starts(*arrays)
        if 2 * starts.size <= total:
            return tuple(array[starts] for array in arrays), np.diff(starts, append=total).astype(np.int32)
    return arrays, None


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
    scores, labels = checked_ranking(scores, labels)
    if scores.size == 0:
        raise DataError('There is no score to rank: the test set has no frame')
    if weights is None:
        (scores, labels), weights = in_runs(scores, labels)  # runs are sorted instead of frames

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
        wide = np.int64 if weights.dtype.kind in 'biu' else np.float64
        positives = np.cumsum(np.where(labels[order], weights, 0), dtype=wide)[last_of_ties]
        everything = np.cumsum(weights, dtype=wide)[last_of_ties]
    return RankCounts(ranked[last_of_ties], positives, everything - positives)


def _nan_for_single_class(counts: Counts, what: str) -> bool:
    positives, negatives = counts.totals
    if positives and negatives:
        return False
    kind = 'normal' if positives else 'anomalous'
    warnings.warn(f'{what} is NaN: there is no {kind} frame', UserWarning, stacklevel=3)
    return True


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


class CurveMeasures(NamedTuple):
    """Measures of one ranking, 0..1; NaN if one class is missing.

    Attributes:
        auc (float): Area under the ROC curve.
        ap (float): Average precision.
        eer (float): Equal error rate.
    """

    auc: float
    ap: float
    eer: float


def curve_measures(counts: Counts, ap_mode: str = 'step') -> CurveMeasures:
    """:func:`roc_auc`, :func:`average_precision` and :func:`equal_error_rate`, with one pass over the blocks.

    Raises:
        ConfigError: ``ap_mode`` is unknown.
    """
    _check_ap_mode(ap_mode)
    undefined = [_nan_for_single_class(counts, what) for what in ('ROC AUC', 'AP', 'EER')]  # warns of each
    if any(undefined):
        return CurveMeasures(float('nan'), float('nan'), float('nan'))
    area, steps, crossing = 0, [], None
    for before, block in _with_counts_before(counts):
        area += _area(before, block)
        steps.append(_area_of_precision(before, block, counts.totals, ap_mode))
        if crossing is None:
            crossing = _crossing(before, block, counts.totals)
    assert crossing is not None  # the last point of the curve is (1, 1)
    return CurveMeasures(_share_of_pairs(area, counts.totals), math.fsum(steps), crossing)


def roc_auc(counts: Counts) -> float:
    """Area under the ROC curve: probability that an anomalous frame scores higher than a normal one; ties count half.

    Args:
        counts (Counts): From :func:`rank_counts` or :class:`~vadlab.evaluation.functional.rank_pool.PooledCounts`.

    Returns:
        float: 0..1, exact for integer counts; NaN, with a warning, if one class is missing.
    """
    if _nan_for_single_class(counts, 'ROC AUC'):
        return float('nan')
    return _share_of_pairs(sum(_area(before, block) for before, block in _with_counts_before(counts)), counts.totals)


def average_precision(counts: Counts, mode: str = 'step') -> float:
    """Area under the precision-recall curve.

    Args:
        counts (Counts): From :func:`rank_counts` or :class:`~vadlab.evaluation.functional.rank_pool.PooledCounts`.
        mode (str): ``step``: precision at each step of recall (scikit-learn's; used by VadCLIP). ``trapezoid``: linear
            between the points of the curve (used by RTFM and XDVioDet; more optimistic).

    Returns:
        float: 0..1; NaN, with a warning, if one class is missing.

    Raises:
        ConfigError: ``mode`` is unknown.
    """
    _check_ap_mode(mode)
    if _nan_for_single_class(counts, 'AP'):
        return float('nan')
    parts = (_area_of_precision(before, block, counts.totals, mode) for before, block in _with_counts_before(counts))
    return math.fsum(parts)


def equal_error_rate(counts: Counts) -> float:
    """Equal error rate: point of the ROC curve, linear between its points, at which the two error rates are equal.

    Args:
        counts (Counts): From :func:`rank_counts` or :class:`~vadlab.evaluation.functional.rank_pool.PooledCounts`.

    Returns:
        float: 0..1, lower is better; NaN, with a warning, if one class is missing.
    """
    if _nan_for_single_class(counts, 'EER'):
        return float('nan')
    points = (_crossing(before, block, counts.totals) for before, block in _with_counts_before(counts))
    return next(point for point in points if point is not None)


def _check_ap_mode(mode: str) -> None:
    if mode not in AP_MODES:
        raise ConfigError(f'AP mode is {mode!r}; choose one of {", ".join(AP_MODES)}')


def _with_counts_before(counts: Counts) -> Iterator[tuple[tuple[int, int], RankCounts]]:
    """Each block, with the positives and negatives of the blocks above it."""
    before = (0, 0)
    for block in counts.blocks():
        yield before, block
        before = block.totals


def _area(before: tuple[int, int], block: RankCounts) -> int:
    """Twice the number of pairs (anomalous, normal) that a block's normal frames are in and that are ranked right."""
    normal = np.diff(block.negatives, prepend=before[1])
    twice_above = block.positives + np.append(before[0], block.positives[:-1])
    if float(block.negatives[-1]) * float(2 * block.positives[-1].item()) >= _MOST_EXACT:
        return sum(int(n) * int(p) for n, p in zip(normal, twice_above, strict=True))  # whole numbers of any size
    return (normal * twice_above).sum().item()


def _share_of_pairs(area: int, totals: tuple[int, int]) -> float:
    return float(area) / (2.0 * totals[0] * totals[1])


def _area_of_precision(before: tuple[int, int], block: RankCounts, totals: tuple[int, int], mode: str) -> float:
    recall = np.append(before[0], block.positives) / totals[0]
    start = before[0] / (before[0] + before[1]) if any(before) else 1.0
    precision = np.append(start, block.positives / (block.positives + block.negatives))
    height = precision[1:] if mode == 'step' else (precision[1:] + precision[:-1]) / 2
    return float(np.dot(np.diff(recall), height))


def _crossing(before: tuple[int, int], block: RankCounts, totals: tuple[int, int]) -> float | None:
    """False positive rate where it equals the miss rate, if that is between two points of the block."""
    fpr = np.append(before[1], block.negatives) / totals[1]
    tpr = np.append(before[0], block.positives) / totals[0]
    excess = fpr - (1 - tpr)  # increases from -1 at the origin to +1
    after = int(np.argmax(excess >= 0))
    if after == 0:
        return None
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1]))
