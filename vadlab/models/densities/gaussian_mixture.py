import warnings

import numpy as np
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.gaussian_mixture import log_density
from .density import Density


@MODELS.register_module()
class GaussianMixtureDensity(Density):
    """Negative log-likelihood of a Gaussian mixture, fitted by scikit-learn; for vectors of few numbers.

    Args:
        components (int): Number of Gaussians; fewer if there are fewer training vectors.
        standardize (bool): Divide each number by its standard deviation over the training vectors first.
        regularization (float): Added to the variances, > 0.
        calibration (str): See :class:`Density`.
    """

    def __init__(
        self,
        components: int = 3,
        standardize: bool = True,
        regularization: float = 1e-3,
        calibration: str = 'log',
    ) -> None:
        kinds = dict.fromkeys(('shift', 'scale', 'log_weights', 'means', 'precisions'), torch.float64)
        super().__init__(calibration, **kinds)
        if components < 1:
            raise ConfigError(f'GaussianMixtureDensity: components must be a whole number >= 1, not {components}')
        self.components, self.standardize, self.regularization = components, standardize, regularization

    def learn(self, vectors: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
        """Fit the mixture; see :meth:`Density.learn`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        shift, scale = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1])
        if self.standardize:
            shift, scale = vectors.mean(axis=0), vectors.std(axis=0)
            scale[scale < 1e-9] = 1.0
        standard = (vectors - shift) / scale
        components = min(self.components, len(np.unique(standard, axis=0)))
        mixture = GaussianMixture(components, reg_covar=self.regularization, random_state=seed)
        if len(standard) < 2:
            standard = np.repeat(standard, 2, axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)
            mixture.fit(standard)
        self.shift, self.scale = torch.from_numpy(shift), torch.from_numpy(scale)
        self.log_weights = torch.from_numpy(np.log(mixture.weights_))
        self.means = torch.from_numpy(mixture.means_)
        self.precisions = torch.from_numpy(np.ascontiguousarray(mixture.precisions_cholesky_))
        return self.raw_scores(vectors)

    def raw_scores(self, vectors: np.ndarray) -> np.ndarray:
        """Negative log-likelihoods; see :meth:`Density.raw_scores`."""
        x = (torch.from_numpy(np.ascontiguousarray(vectors)) - self.shift.cpu()) / self.scale.cpu()
        return -log_density(x, self.log_weights.cpu(), self.means.cpu(), self.precisions.cpu()).numpy()
