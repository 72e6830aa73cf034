"""Temporal segments: proposals from class probabilities, and their mean average precision.

The procedure of VadCLIP's public test code (Wu et al., "VadCLIP: Adapting Vision-Language Models for Weakly Supervised
Video Anomaly Detection", AAAI 2024, github.com/nwpu-zxr/VadCLIP), which comes from weakly supervised action
localisation. There are two modes:

- ``vadclip`` reproduces the published code's numbers, including its peculiarities: Normal is a class of the mean, and
  always scores 0 on UCF-Crime (the label of normal videos is not a class there); one class without any proposal makes
  the whole result 0.
- ``standard`` is the mean over the anomaly classes with a true segment; a class without proposals scores 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

from .ranking import run_starts

SEGMENT_MODES = ('vadclip', 'standard')
SEGMENT_IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Segments:
    """Segments of one video; M of them.

    Attributes:
        classes (np.ndarray): Class index, int64, shape (M,).
        starts (np.ndarray): First frame, int64, shape (M,).
        ends (np.ndarray): Last frame + 1, int64, shape (M,).
        scores (np.ndarray | None): Confidence of proposals, any float, shape (M,). None for true segments.
    """

    classes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray | None = None

    @classmethod
    def of(cls, intervals: Sequence[tuple[int, int, int]]) -> 'Segments':
        """Build true segments from (class index, start, end), half-open."""
        columns = np.asarray(intervals, dtype=np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2])


def propose_segments(
    scores: np.ndarray, depth: float = 0.6, top_weight: float = 0.7, min_frames: int = 2, top_share: int = 16
) -> Segments:
    """Propose segments with a high class probability in a video.

    Proposals of a class are runs of at least ``min_frames`` frames strictly above ``max - depth (max - min)``. A run's
    score is its highest probability plus ``top_weight`` times c, the mean of the class's ``N // top_share`` highest
    frames in the video. Videos shorter than ``top_share`` frames, and classes whose c is not positive, have none.

    The published code then suppresses proposals with an IoU above 0.6; runs of one threshold are disjoint, so this has
    no effect and is omitted.

    Args:
        scores (np.ndarray): Class probabilities of the frames, float, shape (N, K).
        depth (float): Maximum distance of a frame below the highest one, as a share of the range, 0..1.
        top_weight (float): Weight of c.
        min_frames (int): Minimum length of a run.
        top_share (int): c is the mean over the highest 1 / ``top_share`` of the frames.

    Returns:
        Segments: Sorted by class, then by descending score.

    Raises:
        DataError: Scores have another shape, or are not finite.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise DataError(f'class scores have the shape {scores.shape}; expected (N, K)')
    num_frames, num_classes = scores.shape
    if not np.isfinite(scores).all():
        raise DataError(f'{int(np.count_nonzero(~np.isfinite(scores)))} of {scores.size} class scores are not finite')
    top = num_frames // top_share
    if top == 0:
        none = np.zeros(0, np.int64)
        return Segments(none, none, none, np.zeros(0))
    # A snippet's scores repeat for its frames, so the code below works on runs of equal frames (r), weighted by length.
    bounds = np.append(run_starts(scores), num_frames)
    values_kr = np.ascontiguousarray(scores[bounds[:-1]].T)
    level_k = _mean_of_highest(values_kr, np.diff(bounds), top)

    highest, lowest = values_kr.max(axis=1), values_kr.min(axis=1)
    # The threshold is in double precision, as in the published code; the range and the scores stay in their own.
    threshold_k = highest - (highest - lowest).astype(np.float64) * depth
    above_kr = (values_kr > threshold_k[:, None]) & (level_k > 0)[:, None]
    edges = np.diff(np.pad(above_kr, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    classes, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[1]
    starts, ends = bounds[first], bounds[last]
    # Maximum of each proposal: reduceat from its first run of equal frames to its last, over all classes concatenated.
    width = above_kr.shape[1] + 1
    spans = np.stack([classes * width + first, classes * width + last], axis=1).ravel()
    peaks = np.zeros(0, scores.dtype)
    if spans.size:
        peaks = np.maximum.reduceat(np.pad(values_kr, ((0, 0), (0, 1))).ravel(), spans)[::2]
    long_enough = ends - starts >= min_frames
    classes, starts, ends = classes[long_enough], starts[long_enough], ends[long_enough]
    run_scores = (peaks[long_enough] + top_weight * level_k[classes]).astype(np.float64)

    order = np.arange(classes.size)
    for low, high in zip(*np.searchsorted(classes, [range(num_classes), range(1, num_classes + 1)]), strict=True):
        if high - low > 1:
            order[low:high] = low + np.argsort(-run_scores[low:high])
    return Segments(classes, starts[order], ends[order], run_scores[order])


def _mean_of_highest(values_kr: np.ndarray, lengths_r: np.ndarray, top: int) -> np.ndarray:
    """Mean of the highest ``top`` frames per class, summed in descending order as in the published code.

    In single precision the order of the sum matters: another order would change ties between proposals.
    """
    if len(lengths_r) == lengths_r.sum() and top < len(lengths_r):
        # Without repeated frames, only the highest have to be sorted.
        values_kr = np.partition(values_kr, len(lengths_r) - top, axis=1)[:, -top:]
        highest_kt = np.sort(values_kr, axis=1)[:, ::-1]
    else:
        order_kr = np.argsort(values_kr, axis=1)[:, ::-1]
        highest_kt = np.empty((len(values_kr), top), values_kr.dtype)
        for row, values, order in zip(highest_kt, values_kr, order_kr, strict=True):
            lengths = lengths_r[order]
            needed = int(np.searchsorted(np.cumsum(lengths), top)) + 1
            row[:] = np.repeat(values[order[:needed]], lengths[:needed])[:top]
    return np.ascontiguousarray(highest_kt.T).mean(axis=0)


def segment_ap(
    proposals: Sequence[Segments], truths: Sequence[Segments], index: int, ious: Sequence[float] = SEGMENT_IOUS
) -> np.ndarray | None:
    """Average precision of one class at several IoU thresholds.

    In descending order of score, each proposal is matched to the unmatched true segment of its video with the highest
    IoU, if that reaches the threshold. AP is the sum of the precisions at the hits, divided by the number of true
    segments, without interpolation.

    Args:
        proposals (Sequence[Segments]): Proposals per video.
        truths (Sequence[Segments]): True segments per video, in the same order.
        index (int): Index of the class.
        ious (Sequence[float]): Thresholds, > 0.

    Returns:
        np.ndarray | None: 0..1, shape (len(ious),); 0 if there is no true segment. None if there is no proposal.
    """
    found = [_of_class(proposal, index) for proposal in proposals]
    counts = [len(part[0]) for part in found]
    if sum(counts) == 0:
        return None
    starts, ends, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(-scores)
    videos, starts, ends = np.repeat(np.arange(len(counts)), counts)[order], starts[order], ends[order]

    true = [_of_class(truth, index)[:2] for truth in truths]
    per_video = np.array([len(part[0]) for part in true])
    total = int(per_video.sum())
    if total == 0:
        return np.zeros(len(ious))
    true_starts, true_ends = (np.concatenate(parts) for parts in zip(*true, strict=True))
    # All pairs of a proposal and a true segment of the same video.
    pairs = per_video[videos]
    which = np.repeat(np.arange(videos.size), pairs)
    first_true = np.cumsum(per_video) - per_video
    partner = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs) + first_true[videos[which]]
    shared = np.minimum(ends[which], true_ends[partner]) - np.maximum(starts[which], true_starts[partner])
    shared = shared.clip(0)
    union = ends[which] - starts[which] + true_ends[partner] - true_starts[partner] - shared
    overlap = shared / union

    result = np.zeros(len(ious))
    for i, threshold in enumerate(ious):
        hits = np.zeros(videos.size)
        candidates = np.flatnonzero(overlap >= threshold)
        taken: set[int] = set()
        best: dict[int, tuple[float, int]] = {}
        # Few pairs overlap that much; they are in the order of proposals, then of true segments.
        ahead = candidates.tolist()
        for at, pair in enumerate(ahead):
            proposal, segment = int(which[pair]), int(partner[pair])
            if segment not in taken and overlap[pair] > best.get(proposal, (0.0, -1))[0]:
                best[proposal] = (float(overlap[pair]), segment)
            if proposal in best and (at + 1 == len(ahead) or which[ahead[at + 1]] != proposal):
                taken.add(best[proposal][1])
                hits[proposal] = 1.0
        if taken:
            precision = np.cumsum(hits) / (np.cumsum(hits) + np.cumsum(1.0 - hits))
            result[i] = np.sum(precision * hits) / total
    return result


def _of_class(segments: Segments, index: int) -> tuple[np.ndarray, ...]:
    chosen = segments.classes == index
    scores = np.zeros(0) if segments.scores is None else segments.scores[chosen]
    return segments.starts[chosen], segments.ends[chosen], scores


def segment_map(
    proposals: Sequence[Segments],
    truths: Sequence[Segments],
    num_classes: int,
    mode: str = 'vadclip',
    ious: Sequence[float] = SEGMENT_IOUS,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean average precision of segments over classes.

    Args:
        proposals (Sequence[Segments]): Proposals per video.
        truths (Sequence[Segments]): True segments per video, in the same order. The caller decides whether a normal
            video has a true segment of class 0: in the published lists, XD-Violence's have one, UCF-Crime's do not.
        num_classes (int): K, including Normal (index 0).
        mode (str): ``vadclip`` or ``standard``, see above.
        ious (Sequence[float]): IoU thresholds, > 0, up to 1.

    Returns:
        tuple[np.ndarray, np.ndarray]: mAP at each threshold, shape (len(ious),); AP of each class, shape
            (len(ious), K), NaN for classes that ``standard`` skips: Normal, and classes without a true segment.

    Raises:
        ConfigError: ``mode`` is unknown, or thresholds are outside 0..1.
        DataError: The numbers of videos differ, or there are none.
    """
    if mode not in SEGMENT_MODES:
        raise ConfigError(f'segment mode is {mode!r}; choose one of {", ".join(SEGMENT_MODES)}')
    if not ious or not all(0 < iou <= 1 for iou in ious):
        raise ConfigError(f'IoU thresholds are {tuple(ious)}; each must be above 0, up to 1')
    if len(proposals) != len(truths) or not proposals:
        raise DataError(f'proposals of {len(proposals)} videos for the truth of {len(truths)}')
    classes = np.full((len(ious), num_classes), np.nan)
    empty = False
    for index in range(num_classes):
        if mode == 'standard' and (index == 0 or not any((truth.classes == index).any() for truth in truths)):
            continue
        found = segment_ap(proposals, truths, index, ious)
        empty = empty or found is None
        classes[:, index] = 0.0 if found is None else found
    if mode == 'vadclip':
        return np.zeros(len(ious)) if empty else classes.mean(axis=1), classes
    counted = ~np.isnan(classes[0])
    return classes[:, counted].mean(axis=1) if counted.any() else np.full(len(ious), np.nan), classes
