"""Smoothing of frame scores over time."""

import re
from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import ConfigError

_REACH = 4  # standard deviations


@dataclass(frozen=True)
class FrameSmoothing:
    """Smoothing of the frame scores of one video.

    Attributes:
        kind (str): ``none``; ``gaussian``: weighted mean over the frames around, which needs later frames; ``causal``:
            the same weights, only over the frames up to now, as in live use. ``causal`` lags behind.
        sigma (float): Standard deviation of the weights, in frames.
    """

    kind: str = 'none'
    sigma: float = 0.0

    @classmethod
    def parse(cls, text: str | None) -> 'FrameSmoothing':
        """Parse ``none``, ``gaussian(7)`` or ``causal(7)``.

        Raises:
            ConfigError: It is not one of these.
        """
        match = re.fullmatch(r'(gaussian|causal)\((\d+(?:\.\d+)?)\)', text or '')
        if text in (None, 'none'):
            return cls()
        if match is None or not float(match[2]) > 0:
            raise ConfigError(f'smoothing is {text!r}; choose none, gaussian(7) or causal(7), with a number of frames')
        return cls(match[1], float(match[2]))

    def __str__(self) -> str:
        return 'none' if self.kind == 'none' else f'{self.kind}({self.sigma:g})'

    @property
    def key(self) -> str:
        """Name in the keys of metrics: ``gaussian7``, ``unsmoothed``."""
        return 'unsmoothed' if self.kind == 'none' else f'{self.kind}{self.sigma:g}'

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Smooth the scores of a video.

        Args:
            scores (np.ndarray): Shape (N,). Before the first frame they count as equal to it, after the last one as
                equal to the last.

        Returns:
            np.ndarray: float64, shape (N,).
        """
        scores = np.asarray(scores, np.float64)
        if self.kind == 'none' or not len(scores):
            return scores
        reach = max(int(_REACH * self.sigma + 0.5), 1)
        weights = np.exp(-0.5 * (np.arange(reach + 1) / self.sigma) ** 2)
        if self.kind == 'causal':
            padded = np.concatenate([np.full(reach, scores[0]), scores])
            return np.convolve(padded, weights / weights.sum(), mode='valid')
        weights = np.concatenate([weights[:0:-1], weights])
        padded = np.pad(scores, reach, mode='edge')
        return np.convolve(padded, weights / weights.sum(), mode='valid')


def normalize_clip(scores: np.ndarray) -> np.ndarray:
    """Scale the scores of a clip to 0..1 by their minimum and maximum; constant scores become 0."""
    scores = np.asarray(scores, np.float64)
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
