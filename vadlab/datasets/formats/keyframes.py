"""Interpolation of boxes between an annotator's keyframes.

A region is a dict with ``start_frame`` and ``end_frame`` (inclusive, 0-based) and ``keyframes``, each with ``frame``,
``bbox`` (x1, y1, x2, y2, normalised) and ``enabled``. Between two keyframes the box is interpolated linearly. A
keyframe that is not enabled ends a span, and its own frame is the last one shown. An enabled last keyframe holds until
``end_frame``. Before the first keyframe, and outside ``start_frame`` to ``end_frame``, there is no box.
"""

from typing import Any

import numpy as np

Region = dict[str, Any]


def _sorted_keyframes(region: Region) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (K,), boxes (K, 4), enabled (K,); of two keyframes at one frame, the later one in the list counts."""
    by_frame = {int(keyframe['frame']): keyframe for keyframe in region['keyframes']}
    frames = sorted(by_frame)
    boxes = np.array([by_frame[f]['bbox'] for f in frames], np.float64).reshape(-1, 4)
    enabled = np.array([by_frame[f].get('enabled', True) for f in frames], bool)
    return np.array(frames, np.int64), boxes, enabled


def track_boxes(region: Region, frame_inds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of a region in given frames.

    Args:
        region: The region, see the module's docstring.
        frame_inds: int64, shape (T,), in any order.

    Returns:
        Boxes, float32, shape (T, 4), zeros if there is none; and whether there is one, bool, shape (T,).
    """
    inds = np.asarray(frame_inds, np.int64)
    frames, boxes, enabled = _sorted_keyframes(region)
    if not len(frames):
        return np.zeros((len(inds), 4), np.float32), np.zeros(len(inds), bool)
    before = np.searchsorted(frames, inds, side='right') - 1  # the last keyframe at or before each frame
    after = np.minimum(before + 1, len(frames) - 1)
    here = np.maximum(before, 0)
    span = np.maximum(frames[after] - frames[here], 1)
    weight = np.where(after > here, (inds - frames[here]) / span, 0.0)[:, None]
    result = (1 - weight) * boxes[here] + weight * boxes[after]

    ends_here = (inds == frames[here]) & (here > 0) & enabled[np.maximum(here - 1, 0)]
    valid = (before >= 0) & (enabled[here] | ends_here)
    valid &= (inds >= region['start_frame']) & (inds <= region['end_frame'])
    result[~valid] = 0
    return result.astype(np.float32), valid


def shown_spans(region: Region) -> np.ndarray:
    """The frames in which a region has a box, as half-open intervals.

    Returns:
        int64, shape (K, 2), ascending, disjoint, not touching.
    """
    frames, _, enabled = _sorted_keyframes(region)
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for frame, is_enabled in zip(frames.tolist(), enabled.tolist(), strict=True):
        if is_enabled and start is None:
            start = frame
        elif not is_enabled and start is not None:
            spans.append((start, frame + 1))
            start = None
    if start is not None:
        spans.append((start, region['end_frame'] + 1))
    clipped = [(max(s, region['start_frame']), min(e, region['end_frame'] + 1)) for s, e in spans]
    return merge_intervals(np.array([pair for pair in clipped if pair[0] < pair[1]], np.int64).reshape(-1, 2))


def merge_intervals(intervals: np.ndarray) -> np.ndarray:
    """The union of half-open intervals, int64, shape (K, 2), ascending, disjoint, not touching."""
    merged: list[list[int]] = []
    for start, end in sorted(np.asarray(intervals).reshape(-1, 2).tolist()):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return np.array(merged, np.int64).reshape(-1, 2)
