import math

import pytest
import torch
from torch import nn

from vadlab.models.layers.multiscale_log_density import MultiscaleLogDensity


class Quadratic(MultiscaleLogDensity):
    """Minus the log-density of a standard normal distribution with noise: |x|^2 / (2 (1 + sigma^2))."""

    def __init__(self):
        super().__init__(2, (1,))

    def forward(self, features_nd, sigma_n):
        return features_nd.square().sum(1) / (2 * (1 + sigma_n.square()))


def test_loss_by_hand():
    features, sigma = torch.tensor([[1.0, 2.0]]), torch.tensor([0.5])
    noise = torch.tensor([[2.0, -2.0]])
    # noisy (2, 1); gradient -(2, 1) / 1.25 = (-1.6, -0.8); back to the features (4, -4); error (2.4, -4.8)
    assert Quadratic().loss(features, sigma, noise).item() == pytest.approx(0.25 * (2.4**2 + 4.8**2) / 2)


def test_the_true_density_has_the_smallest_loss():
    generator = torch.Generator().manual_seed(0)
    features, noise = (torch.randn(4000, 2, generator=generator) for _ in range(2))
    model = Quadratic()
    sigma = model.draw_scales(features)

    def scaled(factor):
        wrong = Quadratic()
        wrong.forward = lambda x, s: factor * Quadratic.forward(model, x, s)
        return wrong.loss(features, sigma, noise).item()

    assert scaled(1.0) < min(scaled(0.8), scaled(1.2))


def test_training_finds_a_density_that_falls_with_the_distance_from_the_data():
    torch.manual_seed(0)
    model = MultiscaleLogDensity(2, (64, 64), sigma_low=0.1)
    data = torch.randn(256, 2) * 0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.5, 0.9))
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(data, model.draw_scales(data), torch.randn_like(data)).backward()
        optimizer.step()
    with torch.no_grad():
        found = model.at_scales(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, -2.0]]), 4)
    assert (found[0] < found[1]).all()
    assert (found[1] < found[2]).all()


def test_scales_are_uniform_in_their_logarithm():
    torch.manual_seed(0)
    scales = MultiscaleLogDensity(1, (1,), 0.01, 1.0).draw_scales(torch.zeros(4000, 1))
    assert scales.min() >= 0.01
    assert scales.max() <= 1
    assert scales.log10().mean().item() == pytest.approx(-1, abs=0.03)


def test_the_scale_is_the_last_input_and_scales_are_evenly_spaced():
    model = MultiscaleLogDensity(1, (1,), 0.25, 1.0)
    model.layers = nn.Linear(2, 1)
    model.layers.weight.data, model.layers.bias.data = torch.tensor([[1.0, 10.0]]), torch.zeros(1)
    torch.testing.assert_close(model.at_scales(torch.tensor([[3.0]]), 4), torch.tensor([[5.5, 8.0, 10.5, 13.0]]))


def test_layers_of_the_network():
    kinds = [type(m).__name__ for m in MultiscaleLogDensity(3, (8, 4), layer_norm=True, dropout=0.5).layers]
    assert kinds == [*['Linear', 'LayerNorm', 'GELU', 'Dropout'] * 2, 'Linear']


def test_loss_can_be_computed_without_training_and_has_finite_values_at_the_smallest_scale():
    torch.manual_seed(0)
    model = MultiscaleLogDensity(3, (8,))
    features = torch.randn(5, 3)
    with torch.no_grad():
        loss = model.loss(features, torch.full((5,), 1e-3), torch.randn(5, 3))
    assert math.isfinite(loss.detach())
