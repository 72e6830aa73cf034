"""Rules that choose frames of a video, which transforms and exported models share."""

import numpy as np


def in_slots(n_slots: int, n_frames: int, positions: np.ndarray) -> np.ndarray:
    """Frames at ``positions`` (0..1) within equal slots; distinct if there are at least as many frames as slots."""
    edges = np.arange(n_slots + 1) * n_frames // max(n_slots, 1)
    inds = edges[:-1] + np.floor(positions * np.diff(edges)).astype(np.int64)
    return np.minimum(inds, n_frames - 1)


def middle_of_slots(n_slots: int, n_frames: int) -> np.ndarray:
    """The middle frame of each of equal slots, int64, ascending, shape (n_slots,)."""
    return in_slots(n_slots, n_frames, np.full(n_slots, 0.5))


def window_from(start: int, num_frames: int, frame_interval: int, n_frames: int) -> np.ndarray:
    """Frames at a fixed distance; the last frame of the video is repeated past its end. int64, shape (num_frames,)."""
    return np.minimum(start + np.arange(num_frames) * frame_interval, n_frames - 1)


def last_start(num_frames: int, frame_interval: int, n_frames: int) -> int:
    """The last frame at which such a window may start; 0 if the video is shorter than the window."""
    return max(n_frames - (num_frames - 1) * frame_interval - 1, 0)


def interpolated(values: np.ndarray, frame_inds: np.ndarray, total_frames: int) -> np.ndarray:
    """Interpolate values of sampled frames linearly to all frames; constant before the first and after the last.

    Args:
        values (np.ndarray): Value of each sampled frame, shape (t,).
        frame_inds (np.ndarray): Indices of the sampled frames, ascending, 0-based, shape (t,); values of repeated
            indices are averaged.
        total_frames (int): Number of frames of the video.

    Returns:
        np.ndarray: float32, shape (total_frames,).
    """
    places, which = np.unique(np.asarray(frame_inds), return_inverse=True)
    sums = np.bincount(which, weights=np.asarray(values, np.float64))
    means = sums / np.bincount(which)
    return np.interp(np.arange(total_frames), places, means).astype(np.float32)
