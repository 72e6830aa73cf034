"""Pixel-level criterion: whether detections cover the anomalous pixels of a frame."""

import warnings

import numpy as np

from .ranking import rank_counts, roc_auc

MIN_COVERAGE = 0.4


def pixel_level_scores(
    masks: np.ndarray,
    frame_inds: np.ndarray,
    boxes_xyxy: np.ndarray,
    scores: np.ndarray,
    coverage: float = MIN_COVERAGE,
) -> tuple[np.ndarray, np.ndarray]:
    """The highest threshold at which each frame is detected by the pixel-level criterion.

    Mahadevan et al., "Anomaly Detection in Crowded Scenes", CVPR 2010: an anomalous frame counts as found at a
    threshold if the regions detected there cover at least 40 % of its anomalous pixels. A normal frame is a false alarm
    at any detection.

    Args:
        masks (np.ndarray): Anomalous pixels of the clip, bool, shape (N, H, W).
        frame_inds (np.ndarray): Frame of each detection, shape (M,).
        boxes_xyxy (np.ndarray): Pixels, the last ones included, shape (M, 4).
        scores (np.ndarray): Shape (M,).
        coverage (float): Share of the anomalous pixels that must be covered, 0..1.

    Returns:
        tuple[np.ndarray, np.ndarray]: Threshold of each frame, -inf if it is never detected, float64, shape (N,); and
        whether the frame is anomalous, bool, shape (N,).
    """
    labels = np.asarray(masks.any(axis=(1, 2)), bool)
    levels = np.full(len(masks), -np.inf)
    order = np.argsort(-np.asarray(scores, np.float64), kind='stable')
    height, width = masks.shape[1:]
    covered: dict[int, np.ndarray] = {}
    needed = np.ceil(coverage * masks.sum(axis=(1, 2))).clip(1)
    for i in order:
        frame = int(frame_inds[i])
        if levels[frame] > -np.inf:
            continue
        if not labels[frame]:
            levels[frame] = scores[i]
            continue
        x1, y1, x2, y2 = np.round(boxes_xyxy[i]).astype(int).tolist()
        part = covered.setdefault(frame, np.zeros((height, width), bool))
        part[max(y1, 0) : max(y2 + 1, 0), max(x1, 0) : max(x2 + 1, 0)] = True
        if (part & masks[frame]).sum() >= needed[frame]:
            levels[frame] = scores[i]
    return levels, labels


def pixel_level_auc(levels: np.ndarray, labels: np.ndarray) -> float:
    """Area under the curve of found anomalous frames against false alarms, of all clips together.

    Args:
        levels (np.ndarray): From :func:`pixel_level_scores`, shape (N,).
        labels (np.ndarray): bool, shape (N,).

    Returns:
        float: 0..1. An anomalous frame that is never covered counts below all normal frames. NaN, with a warning, if
        one class is missing.
    """
    labels = np.asarray(labels, bool)
    if labels.all() or not labels.any():
        warnings.warn('pixel-level AUC is NaN: the frames are of one class', UserWarning, stacklevel=2)
        return float('nan')
    known = np.isfinite(levels)
    low = levels[known].min() if known.any() else 0.0
    # Normal frames without a detection rank lowest, except for anomalous frames that are never covered.
    filled = np.where(known, levels, np.where(labels, low - 2, low - 1))
    return roc_auc(rank_counts(filled, labels))
