"""A plain segment mAP: frame by frame, segment by segment, recomputed for each IoU threshold.

The procedure of VadCLIP's public test code (Wu et al., AAAI 2024) without optimisation: the reference of the benchmark
and the tests of `vadlab.evaluation.functional.segments`.
"""

from collections.abc import Sequence

import numpy as np

Truth = Sequence[tuple[int, int, int]]  # segments of one video: class index, first frame, frame after the last


def plain_segment_map(
    scores: Sequence[np.ndarray], truths: Sequence[Truth], num_classes: int, ious: Sequence[float]
) -> list[float]:
    """Mean average precision at each threshold, 0..1, as the published code computes it.

    Args:
        scores: Per video, the class probabilities of its frames, shape (N, K).
        truths: Per video, its true segments, in the same order.
        num_classes: K.
        ious: Thresholds.
    """
    return [_map_at(scores, truths, num_classes, iou) for iou in ious]


def _map_at(scores: Sequence[np.ndarray], truths: Sequence[Truth], num_classes: int, iou: float) -> float:
    levels = [_levels(video) for video in scores]
    precisions = []
    for index in range(num_classes):
        proposals = []
        for number, video in enumerate(scores):
            if levels[number][index] > 0:
                proposals += [(number, *rest) for rest in _proposals(video[:, index], levels[number][index])]
        if not proposals:
            return 0.0
        ranked = np.argsort(-np.array([proposal[3] for proposal in proposals]))
        waiting = [(n, start, end) for n, truth in enumerate(truths) for c, start, end in truth if c == index]
        total = len(waiting)
        hits = []
        for place in ranked:
            number, start, end, _ = proposals[place]
            best, match = 0.0, None
            for candidate in waiting:
                if candidate[0] == number:
                    overlap = _frame_iou(range(start, end), range(candidate[1], candidate[2]))
                    if overlap >= iou and overlap > best:
                        best, match = overlap, candidate
            if match is not None:
                waiting.remove(match)
            hits.append(float(match is not None))
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(hits) + 1)
        precisions.append(float(np.sum(precision * hits)) / total if sum(hits) else 0.0)
    return float(np.mean(precisions))


def _levels(video: np.ndarray) -> np.ndarray:
    """Per class, the mean of the highest sixteenth of its frame scores; NaN for a video without frames."""
    top = len(video) // 16
    descending = -np.sort(-video, axis=0)
    return descending[:top].mean(axis=0) if top else np.full(video.shape[1], np.nan)


def _proposals(column: np.ndarray, level: float) -> list[tuple[int, int, float]]:
    """First frame, frame after the last, and score of each segment of a class in a video, highest score first."""
    threshold = column.max() - (column.max() - column.min()) * np.float64(0.6)
    above = [bool(value > threshold) for value in column]
    segments = []
    start = None
    for frame, inside in enumerate([*above, False]):
        if inside and start is None:
            start = frame
        elif not inside and start is not None:
            if frame - start >= 2:
                segments.append((start, frame, float(column[start:frame].max() + 0.7 * level)))
            start = None
    kept: list[tuple[int, int, float]] = []
    for place in np.argsort([-segment[2] for segment in segments]):
        segment = segments[place]
        spans = [_span_iou(segment, other) for other in kept]
        if all(span <= 0.6 for span in spans):
            kept.append(segment)
    return kept


def _span_iou(one: tuple[int, int, float], other: tuple[int, int, float]) -> float:
    shared = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)


def _frame_iou(one: range, other: range) -> float:
    return len(set(one) & set(other)) / len(set(one) | set(other))
