"""The interface of densities."""

from abc import abstractmethod

import numpy as np
import torch

from vadlab.utils.errors import ConfigError

from .fitted_module import FittedModule

CALIBRATIONS = ('log', 'minmax', 'range', 'none')


class Density(FittedModule):
    """Base class of densities: an anomaly score of a vector, from the distribution of normal vectors.

    Raw scores of attributes have different scales. They are calibrated on the scores of the training vectors:

    ========== =================================================================================================
    ``log``    log(1 + score - lowest training score), 0 below it; grows slowly far from all training vectors
    ``minmax`` (score - lowest) / (99.9th percentile - lowest), as AI-VAD does for velocities and poses
    ``range``  (score - lowest) / (highest - lowest), as AI-VAD's last code does for embeddings
    ``none``   the score itself, for scores that are comparable already
    ========== =================================================================================================

    Args:
        calibration (str): ``log``, ``minmax``, ``range`` or ``none``.
        **dtypes (torch.dtype): Fitted buffers.

    Raises:
        ConfigError: ``calibration`` is unknown.
    """

    def __init__(self, calibration: str, **dtypes: torch.dtype) -> None:
        if calibration not in CALIBRATIONS:
            raise ConfigError(
                f'{type(self).__name__}: there is no calibration={calibration!r}. Known: {", ".join(CALIBRATIONS)}'
            )
        super().__init__(low=torch.float64, high=torch.float64, **dtypes)
        self.calibration = calibration

    def fit(self, vectors: np.ndarray, clips: np.ndarray, seed: int = 0) -> None:
        """Learn the density of training vectors, and calibrate it.

        Args:
            vectors (np.ndarray): Finite, shape (N, D), N > 0.
            clips (np.ndarray): Number of each vector's clip, shape (N,).
            seed (int): Seed of all random choices.
        """
        vectors = np.asarray(vectors, np.float64)
        scores = self.learn(vectors, clips, seed)
        self.low = torch.tensor(float(scores.min()), dtype=torch.float64)
        top = 100 if self.calibration == 'range' else 99.9
        self.high = torch.tensor(float(np.percentile(scores, top)), dtype=torch.float64)

    @abstractmethod
    def learn(self, vectors: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
        """Set the fitted buffers; returns the raw scores of the training vectors, shape (N,)."""

    @abstractmethod
    def raw_scores(self, vectors: np.ndarray) -> np.ndarray:
        """Scores of vectors, higher is more unusual, float64, shape (M,)."""

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Calibrated scores, float64, shape (M,); vectors with NaN get the lowest training score.

        Args:
            vectors (np.ndarray): Shape (M, D).
        """
        vectors = np.asarray(vectors, np.float64)
        known = np.isfinite(vectors).all(axis=1)
        out = np.full(len(vectors), float(self.low))
        if known.any():
            out[known] = self.raw_scores(vectors[known])
        if self.calibration == 'none':
            return out
        above = out - float(self.low)
        if self.calibration == 'log':
            return np.log1p(above.clip(0))
        return above / max(float(self.high) - float(self.low), 1e-12)
