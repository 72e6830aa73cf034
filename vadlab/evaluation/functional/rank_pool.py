"""Exact ranking of more frames than one sort can hold: scores are collected video by video and counted in blocks.

A pool holds 4 bytes per frame score in single precision, and 8 bytes per run of equal ones (the 16 frames of a
snippet); labels need no space, since each class has arrays of its own. Arrays of fixed size are sorted when they are
full. :class:`PooledCounts` merges them from the highest score down, one range of scores at a time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vadlab.utils.errors import DataError

from .ranking import RankCounts, checked_ranking, in_runs, rank_counts, run_starts

SEGMENT_SIZE = 1 << 23  # entries that are sorted together
BLOCK_SIZE = 1 << 23  # entries that are counted together: to this number, results equal those of rank_counts exactly


class _Segment(NamedTuple):
    """Sorted scores of one class."""

    values: np.ndarray  # ascending
    weights: np.ndarray | None  # None: each counts once, and values may repeat
    is_positive: bool


class _Pending:
    """Scores of one class that are not sorted yet."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.size = 0


class RankPool:
    """Scores and labels of frames, for a ranking.

    Attributes:
        total (int): Number of frames, or their weight.
        low (float): Lowest score.
        high (float): Highest score.
        ones (int | None): Number of frames of score 1 while all scores are 0 or 1; else None.
    """

    def __init__(self, segment_size: int = SEGMENT_SIZE) -> None:
        self.total = 0
        self.low, self.high = float('inf'), float('-inf')
        self.ones: int | None = 0
        self._size = segment_size
        self._segments: list[_Segment] = []
        self._pending = {(label, weighted): _Pending() for label in (True, False) for weighted in (True, False)}

    def add(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Add the frames of a video.

        Args:
            scores (np.ndarray): Any float or integer, higher is more anomalous, shape (N,).
            labels (np.ndarray): bool or 0 / 1, shape (N,).
            weights (np.ndarray | None): Number of frames with this score and label, integer, > 0, shape (N,).

        Raises:
            DataError: Shapes differ, scores are not finite, labels are not 0 or 1, or weights are not whole numbers
                above 0.
        """
        scores, labels = checked_ranking(scores, labels)
        if not scores.size:
            return
        if weights is not None and (
            weights.shape != scores.shape or weights.dtype.kind not in 'iu' or weights.min() < 1
        ):
            raise DataError(f'weights have the shape {weights.shape}; expected {scores.shape}, whole numbers above 0')
        if scores.dtype not in (np.float32, np.float64):
            scores = scores.astype(np.float64)
        if weights is None:
            (scores, labels), weights = in_runs(scores, labels)
        self._note(scores, weights)
        for label in (True, False):
            chosen = labels if label else ~labels
            if chosen.any():
                self._append(label, scores[chosen], None if weights is None else weights[chosen])

    def _note(self, scores: np.ndarray, weights: np.ndarray | None) -> None:
        self.total += len(scores) if weights is None else int(weights.sum(dtype=np.int64))
        self.low, self.high = min(self.low, float(scores.min())), max(self.high, float(scores.max()))
        if self.ones is not None:
            are_ones = scores == 1
            if (are_ones | (scores == 0)).all():
                self.ones += int(are_ones.sum() if weights is None else weights[are_ones].sum(dtype=np.int64))
            else:
                self.ones = None

    def _append(self, label: bool, values: np.ndarray, weights: np.ndarray | None) -> None:
        for start in range(0, len(values), self._size):
            pending = self._pending[label, weights is not None]
            part = slice(start, start + self._size)
            pending.values.append(values[part])
            pending.size += len(pending.values[-1])
            if weights is not None:
                pending.weights.append(weights[part])
            if pending.size >= self._size:
                self._sort(label, weights is not None)

    def _sort(self, label: bool, weighted: bool) -> None:
        pending = self._pending[label, weighted]
        self._pending[label, weighted] = _Pending()
        if not pending.size:
            return
        values = np.concatenate(pending.values)
        if weighted:
            order = np.argsort(values)
            values, weights = values[order], np.concatenate(pending.weights)[order]
        else:
            values.sort()
        starts = run_starts(values)
        if weighted:
            weights = np.add.reduceat(weights, starts, dtype=np.int64)
        elif 2 * starts.size > values.size:
            self._segments.append(_Segment(values, None, label))
            return
        else:
            weights = np.diff(starts, append=values.size)
        is_small = weights.max() < 2**31
        self._segments.append(_Segment(values[starts], weights.astype(np.int32 if is_small else np.int64), label))

    def segments(self) -> list[_Segment]:
        """All scores, sorted within each segment."""
        for label, weighted in self._pending:
            self._sort(label, weighted)
        return self._segments


class PooledCounts:
    """Counts at every distinct score of one or several pools, as :func:`rank_counts` gives them for all frames at once.

    Args:
        pools (Sequence[RankPool]): The pools; nothing is added to them later.
        block_size (int): About the highest number of scores in a block.

    Raises:
        DataError: There is no frame.
    """

    def __init__(self, pools: Sequence[RankPool], block_size: int = BLOCK_SIZE) -> None:
        if not any(pool.total for pool in pools):
            raise DataError('There is no score to rank: the test set has no frame')
        self._segments = [segment for pool in pools for segment in pool.segments()]
        self._block_size = block_size
        positives, negatives = (
            sum(_weight(segment) for segment in self._segments if segment.is_positive is label)
            for label in (True, False)
        )
        #: Number of anomalous and of normal frames.
        self.totals = positives, negatives

    @property
    def single_class(self) -> bool:
        """Whether there is at most one class: no anomalous frame, or no normal one."""
        return 0 in self.totals

    def blocks(self) -> Iterator[RankCounts]:
        """The counts from the highest score down; each block continues the counts of the one before."""
        bounds = self._bounds()
        cuts = [np.searchsorted(segment.values, bounds.astype(segment.values.dtype)) for segment in self._segments]
        ends = [len(segment.values) for segment in self._segments]
        positives = negatives = 0
        for i in reversed(range(-1, len(bounds))):
            starts = [int(cut[i]) if i >= 0 else 0 for cut in cuts]
            parts = [
                _distinct(segment, start, end)
                for segment, start, end in zip(self._segments, starts, ends, strict=True)
                if start < end
            ]
            ends = starts
            if not parts:
                continue
            values, weights = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
            labels = np.repeat([part[2] for part in parts], [len(part[0]) for part in parts])
            block = rank_counts(values, labels, weights)
            yield RankCounts(block.thresholds, block.positives + positives, block.negatives + negatives)
            positives, negatives = positives + block.totals[0], negatives + block.totals[1]

    def _bounds(self) -> np.ndarray:
        """Lowest scores of all blocks but the last one, ascending."""
        size = sum(len(segment.values) for segment in self._segments)
        if size <= self._block_size:
            return np.zeros(0)
        step = max(1, self._block_size // (8 * len(self._segments)))
        sample = np.sort(np.concatenate([segment.values[::step] for segment in self._segments]))
        bounds = sample[:: max(1, self._block_size // (2 * step))]
        # A bound is a score in the precision of every segment, so that equal scores never lie in two blocks.
        narrow = any(segment.values.dtype == np.float32 for segment in self._segments)
        return np.unique(bounds.astype(np.float32) if narrow else bounds)


def thinned(counts: RankCounts | PooledCounts, points: int = 4000) -> RankCounts:
    """Counts at some of the distinct scores, for pictures of curves: all of them if they are few.

    Args:
        counts (RankCounts | PooledCounts): Counts.
        points (int): Number of scores to keep.
    """
    blocks = [_keep(block, points) for block in counts.blocks()]
    return _keep(RankCounts(*(np.concatenate(parts) for parts in zip(*map(_arrays, blocks), strict=True))), points)


def _keep(counts: RankCounts, points: int) -> RankCounts:
    at = np.unique(np.linspace(0, len(counts.thresholds) - 1, min(points, len(counts.thresholds))).astype(np.int64))
    return RankCounts(*(array[at] for array in _arrays(counts)))


def _arrays(counts: RankCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return counts.thresholds, counts.positives, counts.negatives


def _weight(segment: _Segment) -> int:
    return len(segment.values) if segment.weights is None else int(segment.weights.sum(dtype=np.int64))


def _distinct(segment: _Segment, start: int, end: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Distinct scores of a part of a segment, how often each is there, and the label."""
    values = segment.values[start:end]
    if segment.weights is not None:
        return values, segment.weights[start:end], segment.is_positive
    starts = run_starts(values)
    return values[starts], np.diff(starts, append=len(values)).astype(np.int32), segment.is_positive
