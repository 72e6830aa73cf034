# Shapes: n feature vectors, d features, l noise scales.
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MultiscaleLogDensity(nn.Module):
    """A network whose output is minus the log-density of noisy features, up to a constant, at any noise scale.

    Micorek et al., "MULDE: Multiscale Log-Density Estimation via Denoising Score Matching for Video Anomaly Detection",
    CVPR 2024, arXiv:2403.14497; the authors' code is https://github.com/jakubmicorek/MULDE-Multiscale-Log-Density-
    Estimation-via-Denoising-Score-Matching-for-Video-Anomaly-Detection. The scale is one more input of the network.

    Args:
        feature_dim (int): Features d.
        units (Sequence[int]): Width of each hidden layer.
        sigma_low (float): Smallest noise scale, > 0, in standard deviations of the features.
        sigma_high (float): Largest noise scale.
        layer_norm (bool): Whether each hidden layer has a layer norm.
        dropout (float): Share of hidden units dropped in training, 0..1.
    """

    def __init__(
        self,
        feature_dim: int,
        units: Sequence[int] = (4096, 4096),
        sigma_low: float = 1e-3,
        sigma_high: float = 1.0,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sigma_low = sigma_low
        self.sigma_high = sigma_high
        layers: list[nn.Module] = []
        for before, after in zip([feature_dim + 1, *units], units, strict=False):
            layers += [nn.Linear(before, after)]
            layers += [nn.LayerNorm(after)] if layer_norm else []
            layers += [nn.GELU()]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, nn.Linear(units[-1], 1))

    def forward(self, features_nd: Tensor, sigma_n: Tensor) -> Tensor:
        """Minus the log-density at the given scales, shape (n,); higher is more anomalous."""
        return self.layers(torch.cat([features_nd, sigma_n[:, None]], 1))[:, 0]

    def at_scales(self, features_nd: Tensor, num_scales: int) -> Tensor:
        """Minus the log-density at evenly spaced scales from the smallest to the largest, shape (n, l)."""
        scales = torch.linspace(self.sigma_low, self.sigma_high, num_scales).tolist()
        return torch.stack([self(features_nd, features_nd.new_full((len(features_nd),), s)) for s in scales], 1)

    def draw_scales(self, features_nd: Tensor) -> Tensor:
        """A random scale per feature vector, uniform in its logarithm, shape (n,)."""
        low, high = math.log(self.sigma_low), math.log(self.sigma_high)
        return (low + (high - low) * torch.rand(len(features_nd), device=features_nd.device)).exp().to(features_nd)

    def loss(self, features_nd: Tensor, sigma_n: Tensor, noise_nd: Tensor) -> Tensor:
        """Denoising score matching (equation 6), weighted by the squared scale, mean over n.

        Half the squared distance between the gradient of the log-density at noisy features and the direction back to
        the features without noise.

        Args:
            features_nd (Tensor): Features without noise, shape (n, d).
            sigma_n (Tensor): Scale of each, shape (n,).
            noise_nd (Tensor): Standard normal noise, shape (n, d).
        """
        added_nd = noise_nd * sigma_n[:, None]
        with torch.enable_grad():  # the loss contains a gradient, so it needs autograd in evaluation, too
            noisy_nd = (features_nd + added_nd).detach().requires_grad_()
            score_nd = torch.autograd.grad(-self(noisy_nd, sigma_n).sum(), noisy_nd, create_graph=True)[0]
            error_n = (score_nd + added_nd / sigma_n[:, None].square()).square().sum(1)
            return (sigma_n.square() * error_n).mean() / 2
