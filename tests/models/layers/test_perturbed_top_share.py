import pytest
import torch

from vadlab.models.layers.perturbed_top_share import perturbed_top_share

FULL = torch.ones(1, 3, dtype=torch.bool)


def test_shares_by_hand():
    values = torch.tensor([[0.5, 0.2, 0.1]])
    noise = torch.tensor([[[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [-9.0, 0.0, 1.0]]])
    # With sigma 0.4 the largest are: 0; 1 (0.1 < 0.2); 2 (0.9); 2 (0.5).
    shares = perturbed_top_share(values, noise, torch.tensor([1]), FULL, 0.4)
    assert shares.tolist() == [[0.25, 0.25, 0.5]]
    assert perturbed_top_share(values, noise, torch.tensor([2]), FULL, 0.4).sum().item() == pytest.approx(2)


def test_padding_has_no_share_and_each_video_its_own_k():
    values = torch.tensor([[1.0, 2.0, 9.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[True, True, False], [True] * 3])
    shares = perturbed_top_share(values, torch.zeros(1, 4, 3), torch.tensor([1, 2]), mask, 0.1)
    assert shares.tolist() == [[0, 1, 0], [0, 1, 1]]


def test_gradient_by_hand():
    values = torch.tensor([[0.5, 0.2, 0.1]], requires_grad=True)
    noise = torch.tensor([[[0.0, 1.0, 0.0], [-2.0, 0.0, 0.0]]])
    shares = perturbed_top_share(values, noise, torch.tensor([1]), FULL, 0.4)  # 1 (0.6 > 0.5), then 1 (0.2 > -0.3)
    shares.backward(torch.tensor([[3.0, 5.0, 7.0]]))
    # Snippet 1 is chosen in both: (1 * 5 - 2 * 3) / (2 samples * sigma).
    torch.testing.assert_close(values.grad, torch.tensor([[0.0, -1.0 / 0.8, 0.0]]))


def test_gradient_of_many_samples_is_the_derivative_of_the_expected_share():
    # Two snippets: P(first is larger) = Phi((x - y) / (sigma sqrt 2)).
    values, sigma = torch.tensor([[0.03, 0.0]], requires_grad=True), 0.05
    noise = torch.randn(1, 200_000, 2, generator=torch.Generator().manual_seed(0))
    share = perturbed_top_share(values, noise, torch.tensor([1]), FULL[:, :2], sigma)
    normal = torch.distributions.Normal(0.0, sigma * 2**0.5)
    assert share[0, 0].item() == pytest.approx(normal.cdf(torch.tensor(0.03)).item(), abs=0.005)
    share[0, 0].backward()
    slope = normal.log_prob(torch.tensor(0.03)).exp().item()
    assert values.grad[0].tolist() == pytest.approx([slope, -slope], rel=0.05)
