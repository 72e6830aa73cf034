# Shapes: n vectors, k components, l dimensions.
import math

import torch
from torch import Tensor, nn

from vadlab.utils.errors import DataError


def log_density(vectors_nl: Tensor, log_shares: Tensor, means: Tensor, whitening: Tensor) -> Tensor:
    """Log-density of vectors under a mixture of Gaussians, in nats.

    Args:
        vectors_nl (Tensor): Shape (n, l).
        log_shares (Tensor): Logarithm of each component's share, shape (k,).
        means (Tensor): Shape (k, l).
        whitening (Tensor): Cholesky factors of the precisions, upper triangular, shape (k, l, l).

    Returns:
        Tensor: Shape (n,).
    """
    white_nkl = torch.einsum('nkl,klm->nkm', vectors_nl[:, None] - means, whitening)
    log_det_k = whitening.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = vectors_nl.shape[1] * math.log(2 * math.pi) / 2
    return (log_shares + log_det_k - constant - white_nkl.square().sum(2) / 2).logsumexp(1)


class GaussianMixture(nn.Module):
    """A Gaussian mixture with full covariances, fitted by scikit-learn and saved in checkpoints.

    Before it is fitted it is a standard normal distribution. It computes in float64, since covariances can be almost
    singular.

    Args:
        num_components (int): Components k.
        width (int): Dimensions l.
    """

    log_shares: Tensor
    means: Tensor
    whitening: Tensor

    def __init__(self, num_components: int, width: int) -> None:
        super().__init__()
        self.register_buffer(
            'log_shares', torch.full((num_components,), -math.log(num_components), dtype=torch.float64)
        )
        self.register_buffer('means', torch.zeros(num_components, width, dtype=torch.float64))
        self.register_buffer('whitening', torch.eye(width, dtype=torch.float64).repeat(num_components, 1, 1))

    def fit(self, vectors_nl: Tensor, seed: int = 0) -> None:
        """Fit to vectors, shape (n, l).

        Raises:
            DataError: There are fewer vectors than components.
        """
        from sklearn.mixture import GaussianMixture as SklearnMixture  # takes a second to load

        if len(vectors_nl) < len(self.means):
            raise DataError(
                f'A mixture of {len(self.means)} components cannot be fitted to {len(vectors_nl)} feature vectors. '
                'Use more training data, or fewer components.'
            )
        fitted = SklearnMixture(len(self.means), random_state=seed).fit(vectors_nl.double().cpu().numpy())
        self.log_shares.copy_(torch.from_numpy(fitted.weights_).log())
        self.means.copy_(torch.from_numpy(fitted.means_))
        self.whitening.copy_(torch.from_numpy(fitted.precisions_cholesky_))

    def forward(self, vectors_nl: Tensor) -> Tensor:
        """Log-density of vectors of shape (n, l), in nats, float64, shape (n,)."""
        return log_density(vectors_nl.double(), self.log_shares, self.means, self.whitening)
