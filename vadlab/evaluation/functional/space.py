"""Spatial measures: IoU of boxes with the union of a frame's true boxes, and TIoU.

TIoU as in Wu et al., "Weakly Supervised Video Anomaly Detection and Localization with Spatio-Temporal Prompts", ACM
Multimedia 2024.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import DataError

from .ranking import Counts

_CELLS_AT_ONCE = 4_000_000


def union_area(boxes: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Exact area of the union of boxes.

    Args:
        boxes (np.ndarray): x1, y1, x2, y2, shape (F, G, 4). An inverted or empty box covers nothing.
        valid (np.ndarray | None): Mask of existing boxes, bool, shape (F, G); None for all.

    Returns:
        np.ndarray: float64, shape (F,).
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    frames, count = boxes.shape[:2]
    areas = np.zeros(frames)
    if count == 0:
        return areas
    there = np.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
    if valid is not None:
        there = np.logical_and(there, valid)
    # The sides of all boxes divide a frame into a grid of cells; each cell is either fully covered or not covered.
    step = max(1, _CELLS_AT_ONCE // (count * (2 * count) ** 2))
    for begin in range(0, frames, step):
        part, shown = boxes[begin : begin + step], there[begin : begin + step]
        covers = []
        sizes = []
        for axis in (0, 1):
            lines = np.sort(part[..., [axis, axis + 2]].reshape(len(part), -1), axis=1)
            low, high = lines[:, None, :-1], lines[:, None, 1:]
            covers.append((part[..., axis, None] <= low) & (part[..., axis + 2, None] >= high) & shown[..., None])
            sizes.append(np.diff(lines, axis=1))
        covered = (covers[0][..., :, None] & covers[1][..., None, :]).any(axis=1)
        areas[begin : begin + step] = np.einsum('fxy,fx,fy->f', covered, *sizes)
    return areas


def union_iou(boxes: np.ndarray, truths: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """IoU of the predicted box of each frame with the union of that frame's true boxes.

    Args:
        boxes (np.ndarray): x1, y1, x2, y2 in any unit, shape (F, 4).
        truths (np.ndarray): True boxes in the same unit, shape (F, G, 4).
        valid (np.ndarray | None): Mask of existing true boxes, bool, shape (F, G); None for all.

    Returns:
        np.ndarray: 0..1, float64, shape (F,); 0 if there is no true box, or all are empty.

    Raises:
        DataError: The shapes do not match.
    """
    boxes, truths = np.asarray(boxes, dtype=np.float64), np.asarray(truths, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or truths.ndim != 3 or truths.shape[::2] != boxes.shape:
        raise DataError(f'Boxes have the shape {boxes.shape} and true ones {truths.shape}; expected (F, 4), (F, G, 4)')
    lower = np.maximum(truths[..., :2], boxes[:, None, :2])
    upper = np.minimum(truths[..., 2:], boxes[:, None, 2:])
    shared = union_area(np.concatenate([lower, upper], axis=-1), valid)
    union = union_area(boxes[:, None]) + union_area(truths, valid) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def youden_threshold(counts: Counts) -> float:
    """Threshold with the largest difference of true and false positive rate; the highest one of several.

    Youden, "Index for rating diagnostic tests", Cancer 1950.

    Args:
        counts (Counts): Counts of all test frames.

    Returns:
        float: Frames that score at least this are called anomalous; NaN, with a warning, if one class is missing.
    """
    positives, negatives = counts.totals
    if not (positives and negatives):
        warnings.warn("Youden's threshold is NaN: the frames are of one class", UserWarning, stacklevel=2)
        return float('nan')
    best = []
    for block in counts.blocks():
        # tpr - fpr, times both numbers of frames: exact for integer weights, so that equal values compare equal.
        excess = block.positives * negatives - block.negatives * positives
        at = int(np.argmax(excess))
        best.append((excess[at].item(), float(block.thresholds[at])))
    return max(best)[1]  # of equal values the highest threshold


def temporal_iou(ious: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """TIoU: mean over anomalous frames of the spatial IoU, with 0 for frames that are not predicted as anomalous.

    Args:
        ious (np.ndarray): Spatial IoU of each anomalous frame, 0..1, shape (F,).
        scores (np.ndarray): Their anomaly scores, shape (F,).
        threshold (float): Frames with at least this score are predicted as anomalous.

    Returns:
        float: 0..1; NaN, with a warning, if there is no frame, or no threshold.
    """
    if len(ious) == 0 or np.isnan(threshold):
        why = 'no anomalous frame has a true box' if len(ious) == 0 else 'there is no threshold'
        warnings.warn(f'TIoU is NaN: {why}', UserWarning, stacklevel=2)
        return float('nan')
    return float(np.mean(np.asarray(ious) * (np.asarray(scores) >= threshold)))


def proposal_recall(ious: Sequence[np.ndarray], k: int, threshold: float = 0.5) -> float:
    """Recall at k: share of true boxes that are found by one of the first k proposals of their frame.

    Args:
        ious (Sequence[np.ndarray]): Per frame, the IoU of its P proposals, by descending score, with its G true boxes,
            shape (P, G).
        k (int): Number of proposals that count, > 0.
        threshold (float): Minimum IoU at which a true box counts as found.

    Returns:
        float: 0..1; NaN, with a warning, if there is no true box.
    """
    total = sum(one.shape[1] for one in ious)
    if total == 0:
        warnings.warn(f'recall@{k} is NaN: there is no true box', UserWarning, stacklevel=2)
        return float('nan')
    return sum(int((one[:k] >= threshold).any(axis=0).sum()) for one in ious if len(one)) / total
