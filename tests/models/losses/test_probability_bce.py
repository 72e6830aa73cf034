import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.losses.probability_bce import probability_bce


def test_hand_computed_value_with_one_target_for_all():
    loss = probability_bce(torch.tensor([0.5, 0.25]), 1.0)
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_equals_torch_with_targets_and_with_a_mask():
    generator = torch.Generator().manual_seed(0)
    probabilities, targets = torch.rand(2, 3, 5, generator=generator)
    torch.testing.assert_close(probability_bce(probabilities, targets), F.binary_cross_entropy(probabilities, targets))
    mask = torch.rand(3, 5, generator=generator) > 0.4
    torch.testing.assert_close(
        probability_bce(probabilities, targets, mask), F.binary_cross_entropy(probabilities[mask], targets[mask])
    )


def test_certain_and_wrong_is_finite_and_masked_entries_get_no_gradient():
    probabilities = torch.tensor([0.0, 1.0], requires_grad=True)
    loss = probability_bce(probabilities, 1.0, torch.tensor([True, False]))
    assert loss.item() == 100.0
    loss.backward()
    assert probabilities.grad.isfinite().all()
    assert probabilities.grad[1] == 0


def test_gradient_equals_the_analytic_derivative():
    probabilities = torch.tensor([0.2, 0.7, 0.4], requires_grad=True)
    probability_bce(probabilities, torch.tensor([0.0, 1.0, 0.5])).backward()
    p, y = probabilities.detach(), torch.tensor([0.0, 1.0, 0.5])
    torch.testing.assert_close(probabilities.grad, (p - y) / (p * (1 - p)) / 3)


def test_autocast_does_not_lower_its_precision():
    probabilities = torch.tensor([0.3, 0.6])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = probability_bce(probabilities, 0.0)
    assert loss.item() == pytest.approx(-(math.log(0.7) + math.log(0.4)) / 2, rel=1e-6)
