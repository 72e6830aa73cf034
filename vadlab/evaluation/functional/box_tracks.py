"""Linking boxes of sampled frames to tracks.

Trackers in packages (``trackers``, ``norfair``) predict motion from frame to frame by a Kalman filter. Boxes here come
from every Nth frame and from a fixed grid of proposals, so there is no motion to filter, and overlap decides.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .grounding import aligned_iou


def link_boxes(
    frame_inds: np.ndarray,
    boxes_xyxy: np.ndarray,
    labels: np.ndarray | None = None,
    min_iou: float = 0.2,
    max_missed: int = 2,
) -> np.ndarray:
    """Give boxes that belong to one object the same number.

    In each frame, boxes are assigned to the tracks by the largest sum of IoUs (Hungarian method); pairs below
    ``min_iou`` are not linked. A track ends when it has no box in more than ``max_missed`` frames that have boxes.

    Args:
        frame_inds (np.ndarray): Frame of each box, int64, shape (M,).
        boxes_xyxy (np.ndarray): Boxes in any unit, shape (M, 4).
        labels (np.ndarray | None): Only boxes of the same label are linked; any values, shape (M,).
        min_iou (float): Smallest IoU of linked boxes, 0..1.
        max_missed (int): Most frames in a row without a box, >= 0.

    Returns:
        np.ndarray: Track of each box, from 0 in the order of their first frames, int64, shape (M,).
    """
    frame_inds, boxes = np.asarray(frame_inds), np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    kinds = np.zeros(len(boxes), np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    tracks = np.full(len(boxes), -1, np.int64)
    last: dict[int, tuple[int, int]] = {}  # track -> its last box, and the number of that frame
    for number, frame in enumerate(np.unique(frame_inds)):
        rows = np.flatnonzero(frame_inds == frame)
        last = {track: (box, seen) for track, (box, seen) in last.items() if number - seen <= max_missed + 1}
        active = list(last)
        if active:
            previous = np.array([last[track][0] for track in active])
            shape = (len(active), len(rows), 4)
            ious = aligned_iou(np.broadcast_to(boxes[previous][:, None], shape), np.broadcast_to(boxes[rows], shape))
            ious[kinds[previous][:, None] != kinds[rows]] = 0
            for i, j in zip(*linear_sum_assignment(-ious), strict=True):
                if ious[i, j] >= min_iou:
                    tracks[rows[j]] = active[i]
        for row in rows.tolist():
            if tracks[row] < 0:
                tracks[row] = tracks.max() + 1
            last[int(tracks[row])] = (row, number)
    return tracks
