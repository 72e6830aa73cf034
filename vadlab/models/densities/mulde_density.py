from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.gaussian_mixture import GaussianMixture
from ..layers.multiscale_log_density import MultiscaleLogDensity
from .density import Density


@MODELS.register_module()
class MULDEDensity(Density):
    """Log-density at many noise scales, learnt by denoising score matching: MULDE on the attributes of objects.

    Micorek et al., CVPR 2024, see :class:`~vadlab.models.layers.MultiscaleLogDensity`. The score of a vector is minus
    the log-likelihood of its log-densities at all scales, under a Gaussian mixture that is fitted to the log-densities
    of the training vectors. :meth:`learn` trains the network on the CPU, since its number of features is known only
    then. The detector ``MULDE`` uses the same network for features of snippets.

    Args:
        units (Sequence[int]): Width of each hidden layer.
        steps (int): Optimizer steps (Adam).
        batch_size (int): Training vectors per step.
        lr (float): Learning rate.
        sigma_low (float): Smallest noise scale, in standard deviations of the training vectors, > 0.
        sigma_high (float): Largest noise scale.
        num_scales (int): Scales at which vectors are scored.
        regular_weight (float): Factor of the squared log-density, the paper's beta.
        components (int): Components of the mixture.
        calibration (str): See :class:`Density`.

    Raises:
        ConfigError: A number is not in its range.
    """

    def __init__(
        self,
        units: Sequence[int] = (256, 256),
        steps: int = 3000,
        batch_size: int = 512,
        lr: float = 5e-4,
        sigma_low: float = 1e-3,
        sigma_high: float = 1.0,
        num_scales: int = 16,
        regular_weight: float = 0.1,
        components: int = 5,
        calibration: str = 'log',
    ) -> None:
        super().__init__(calibration, shift=torch.float64, scale=torch.float64, weights=torch.float32)
        if min(steps, batch_size, num_scales, components, *units) < 1 or not 0 < sigma_low < sigma_high:
            raise ConfigError(
                'MULDEDensity: steps, batch_size, num_scales, components and units are at least 1, and 0 < sigma_low < '
                f'sigma_high; not {steps}, {batch_size}, {num_scales}, {components}, {tuple(units)}, {sigma_low}, '
                f'{sigma_high}.'
            )
        self.units, self.sigmas = tuple(units), (sigma_low, sigma_high)
        self.steps, self.batch_size, self.lr = steps, batch_size, lr
        self.num_scales, self.regular_weight = num_scales, regular_weight
        self.mixture = GaussianMixture(components, num_scales)

    def learn(self, vectors: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
        """Train the network and fit the mixture; see :meth:`Density.learn`."""
        std = vectors.std(axis=0)
        self.shift = torch.from_numpy(vectors.mean(axis=0))
        self.scale = torch.from_numpy(np.where(std > 1e-9, std, 1.0))
        data = self._standard(vectors)
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = MultiscaleLogDensity(data.shape[1], self.units, *self.sigmas)
            optimizer = torch.optim.Adam(network.parameters(), self.lr, betas=(0.5, 0.9))
            for _ in range(self.steps):
                batch = data[torch.randint(len(data), (self.batch_size,))]
                sigma = network.draw_scales(batch)
                loss = network.loss(batch, sigma, torch.randn_like(batch))
                loss = loss + self.regular_weight * network(batch, sigma).square().mean() / 2
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.weights = parameters_to_vector(network.parameters()).detach()
        self.mixture.fit(self._densities(vectors), seed)
        return self.raw_scores(vectors)

    def raw_scores(self, vectors: np.ndarray) -> np.ndarray:
        """Minus the log-likelihood of the log-densities; see :meth:`Density.raw_scores`."""
        return -self.mixture.cpu()(self._densities(vectors)).numpy()

    def _standard(self, vectors: np.ndarray) -> torch.Tensor:
        return ((torch.from_numpy(np.ascontiguousarray(vectors)) - self.shift.cpu()) / self.scale.cpu()).float()

    @torch.no_grad()
    def _densities(self, vectors: np.ndarray) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):  # its first weights are random, and are replaced
            network = MultiscaleLogDensity(len(self.shift), self.units, *self.sigmas)
        vector_to_parameters(self.weights.cpu(), network.parameters())
        parts = self._standard(vectors).split(4096)
        return torch.cat([network.at_scales(part, self.num_scales) for part in parts])
