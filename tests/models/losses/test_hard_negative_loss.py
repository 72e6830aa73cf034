import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.losses.hard_negative_loss import HardNegativeLoss


def test_value_by_hand():
    regions = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # Cosines 1, 0, -1 for the first; the second has one negative, with cosine 1 against its caption's 0.
    candidates = torch.tensor([[[1.0, 0], [0, 1], [-1, 0]], [[1, 0], [0, 1], [0, 0]]])
    valid = torch.tensor([[True, True, True], [True, True, False]])
    loss = HardNegativeLoss(loss_weight=0.5)(regions, candidates, valid, 2.0)
    first = math.log(math.exp(2) + 1 + math.exp(-2)) - 2
    second = math.log(1 + math.exp(2))
    assert loss.item() == pytest.approx(0.5 * (first + second) / 2, abs=1e-6)


def test_regions_without_negatives_or_frames_are_skipped():
    torch.manual_seed(0)
    regions = F.normalize(torch.randn(3, 4), dim=-1)
    candidates = F.normalize(torch.randn(3, 3, 4), dim=-1)
    valid = torch.tensor([[True, True, True], [True, False, False], [False, True, True]])
    broken = regions.clone()
    broken[1:] = float('nan')
    broken.requires_grad_()
    loss = HardNegativeLoss()(broken, candidates, valid, 5.0)
    torch.testing.assert_close(loss, HardNegativeLoss()(regions[:1], candidates[:1], valid[:1], 5.0))
    loss.backward()
    assert broken.grad[0].any()
    assert not broken.grad[1:].any()


@pytest.mark.parametrize('shape', [(0, 3), (2, 1), (2, 3)])
def test_loss_without_negatives_is_zero_with_a_graph(shape):
    regions = torch.ones(shape[0], 4, requires_grad=True)
    loss = HardNegativeLoss()(regions, torch.ones(*shape, 4), torch.zeros(shape, dtype=torch.bool), 1.0)
    assert loss.item() == 0
    loss.backward()
    assert not regions.grad.any()


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    regions = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    candidates = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    valid = torch.tensor([[True, True, False, True], [True, True, True, True]])
    loss = HardNegativeLoss()
    assert torch.autograd.gradcheck(lambda r, c, s: loss(r, c, valid, s), (regions, candidates, scale))


def test_extreme_logits_stay_finite():
    regions = torch.tensor([[1.0, 0.0]], requires_grad=True)
    candidates = torch.tensor([[[-1.0, 0], [1, 0]]])
    loss = HardNegativeLoss(loss_weight=1.0)(regions, candidates, torch.ones(1, 2, dtype=torch.bool), 1e4)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert regions.grad.isfinite().all()


def test_shapes_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match='do not fit'):
        HardNegativeLoss()(torch.zeros(2, 4), torch.zeros(2, 3, 4), torch.ones(2, 2, dtype=torch.bool), 1.0)
