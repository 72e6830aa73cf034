import numpy as np
import torch

from vadlab.registry import MODELS

from .density import Density


@MODELS.register_module()
class ClassRarity(Density):
    """Rarity of the classes of an object among the training objects.

    The score is the sum over classes of confidence times rarity, where a class's rarity is 1 minus its total confidence
    in training divided by that of the most frequent class. So a bicycle with confidence 1 scores 1 if the training
    objects are only people, and 0 if bicycles are the most frequent class.

    Args:
        calibration (str): See :class:`Density`; the score is in 0..1 if the confidences add up to at most 1.
    """

    def __init__(self, calibration: str = 'none') -> None:
        super().__init__(calibration, rarity=torch.float64)

    def learn(self, vectors: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
        """Count the classes; see :meth:`Density.learn`."""
        total = vectors.sum(axis=0)
        self.rarity = torch.from_numpy(1 - total / max(total.max(initial=0.0), 1e-12))
        return self.raw_scores(vectors)

    def raw_scores(self, vectors: np.ndarray) -> np.ndarray:
        """Confidence times rarity; see :meth:`Density.raw_scores`."""
        return vectors @ self.rarity.cpu().numpy()
