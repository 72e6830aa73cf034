"""Refinement of window scores: neighbours by similarity, smoothing, rounding, the position prior.

Functions are pure; the registered classes hold their options. Steps run in the order of the config: those on windows
first, then each frame gets the score of its window, then those on frames.
"""

from typing import ClassVar

import numpy as np

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


def neighbour_scores(
    scores: np.ndarray, similarity: np.ndarray, count: int, scale: float = 1.0, columns: np.ndarray | None = None
) -> np.ndarray:
    """Replace each score by the mean of its most similar windows, weighted by the softmax of the similarities.

    Args:
        scores (np.ndarray): Score of each window, shape (W,).
        similarity (np.ndarray): Cosine similarity of each window with each candidate, shape (W, C).
        count (int): Number of neighbours, >= 1; all if there are fewer candidates.
        scale (float): Factor of the similarities in the softmax.
        columns (np.ndarray | None): The window whose score a candidate has, int64, shape (C,); None if C = W.

    Returns:
        np.ndarray: float64, shape (W,).
    """
    scores, similarity = np.asarray(scores, np.float64), np.asarray(similarity, np.float64)
    count = min(count, similarity.shape[1])
    nearest = np.argsort(similarity, axis=1)[:, similarity.shape[1] - count :]
    values = np.take_along_axis(similarity, nearest, axis=1) * scale
    weights = np.exp(values - values.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    of_candidates = scores if columns is None else scores[columns]
    return (weights * of_candidates[nearest]).sum(axis=1)


def smooth_windows(scores: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """Gaussian smoothing over windows, as VERA's public code computes it; zeros are assumed outside the video.

    The kernel's places go from floor(-size / 2) to floor(size / 2), so for an odd size its peak is half a window
    beside the centre. For a video with fewer windows than ``size``, the first values of the longer result are taken.

    Args:
        scores (np.ndarray): Shape (W,).
        size (int): Length of the kernel.
        sigma (float): In windows.

    Returns:
        np.ndarray: float64, shape (W,).
    """
    places = np.linspace(-size // 2, size // 2, size)
    kernel = np.exp(-(places**2) / (2 * sigma**2))
    return np.convolve(np.asarray(scores, np.float64), kernel / kernel.sum(), mode='same')[: len(scores)]


def position_prior(num_frames: int) -> np.ndarray:
    """Weight of each frame: a Gaussian around the middle of the video with half its length as standard deviation.

    Args:
        num_frames (int): N > 0.

    Returns:
        np.ndarray: 0..1, float64, shape (N,).
    """
    half = max(num_frames // 2, 1)
    return np.exp(-0.5 * ((np.arange(num_frames) - num_frames // 2) / half) ** 2)


def fill_unread(scores: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Scores of windows without a readable answer, by linear interpolation over time between their neighbours.

    Args:
        scores (np.ndarray): NaN for windows without a score, shape (W,); at least one is known.
        centres (np.ndarray): Places of the windows, ascending, shape (W,).
    """
    known = ~np.isnan(scores)
    return np.interp(centres, np.asarray(centres)[known], np.asarray(scores, np.float64)[known])


class Refinement:
    """A step of the refinement.

    Attributes:
        on_frames (bool): It changes scores of frames, not of windows.
        needs_features (str): ``images`` or ``texts`` if it needs the similarity of windows.
    """

    on_frames: ClassVar[bool] = False
    needs_features: str = ''

    def __call__(
        self, scores: np.ndarray, similarity: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> np.ndarray:
        """The refined scores; see :func:`neighbour_scores` for the arguments."""
        raise NotImplementedError


@MODELS.register_module()
class NeighbourScores(Refinement):
    """Scores of similar windows; see :func:`neighbour_scores`.

    Args:
        count (int | None): Number of neighbours (LAVAD: 10).
        share (float | None): Instead: share of all windows, rounded down; all if that is 0 (VERA: 0.15).
        scale (float): Factor of the similarities in the softmax (VERA: 10, LAVAD: 1).
        features (str): ``images``: windows are compared by their frames. ``texts``: the frames of a window are compared
            with the summaries of all windows (LAVAD).

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self, count: int | None = None, share: float | None = None, scale: float = 1.0, features: str = 'images'
    ) -> None:
        is_count = count is not None and count >= 1 and share is None
        if not is_count and not (count is None and share is not None and 0 < share <= 1):
            raise ConfigError('NeighbourScores: give count (>= 1) or share (above 0, at most 1)')
        if features not in ('images', 'texts'):
            raise ConfigError(f'NeighbourScores: features={features!r}; choose images or texts')
        self.count, self.share, self.scale, self.needs_features = count, share, scale, features

    def __call__(
        self, scores: np.ndarray, similarity: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> np.ndarray:
        assert similarity is not None
        count = self.count if self.count is not None else int((self.share or 0) * len(scores)) or len(scores)
        return neighbour_scores(scores, similarity, count, self.scale, columns)


@MODELS.register_module()
class SmoothWindows(Refinement):
    """Gaussian smoothing over windows; see :func:`smooth_windows`.

    Args:
        size (int): Length of the kernel (VERA: 15).
        sigma (float): In windows (VERA: 10).
        decimals (int | None): Then round the scores, as VERA does (1); None for no rounding.
    """

    def __init__(self, size: int = 15, sigma: float = 10.0, decimals: int | None = None) -> None:
        if size < 1 or sigma <= 0:
            raise ConfigError('SmoothWindows: size must be at least 1, and sigma above 0')
        self.size, self.sigma, self.decimals = size, sigma, decimals

    def __call__(
        self, scores: np.ndarray, similarity: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> np.ndarray:
        smooth = smooth_windows(scores, self.size, self.sigma)
        return smooth if self.decimals is None else np.round(smooth, self.decimals)


@MODELS.register_module()
class PositionPrior(Refinement):
    """Multiplies the scores of frames by :func:`position_prior` (VERA): the middle of a video counts more.

    It uses that anomalies of UCF-Crime's test videos are rarely at their ends. Leave it out for your own footage.
    """

    on_frames = True

    def __call__(
        self, scores: np.ndarray, similarity: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> np.ndarray:
        return np.asarray(scores) * position_prior(len(scores))
