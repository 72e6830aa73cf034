import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.losses.supervised_contrastive_loss import SupervisedContrastiveLoss
from vadlab.utils.errors import ConfigError


def features(n, seed=0):
    return F.normalize(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


def loop(f, labels, temperature):
    """Equation 2 of the paper, anchor by anchor."""
    losses = []
    for i in range(len(f)):
        positives = [j for j in range(len(f)) if j != i and labels[j] == labels[i]]
        if positives:
            others = sum(math.exp(float(f[i] @ f[j]) / temperature) for j in range(len(f)) if j != i)
            losses.append(-sum(float(f[i] @ f[p]) / temperature - math.log(others) for p in positives) / len(positives))
    return sum(losses) / len(losses)


def test_loss_equals_a_loop_over_anchors_without_single_labels():
    f, labels = features(9), torch.tensor([3, 1, 3, 0, 1, 1, 7, 3, 3])
    ours = SupervisedContrastiveLoss(temperature=0.2, loss_weight=0.25)(f, labels)
    assert float(ours) == pytest.approx(0.25 * loop(f, labels.tolist(), 0.2), rel=1e-9)


def test_drawn_anchors_estimate_the_loss_of_all():
    f, labels = features(200), torch.arange(200) % 3
    whole = SupervisedContrastiveLoss(max_anchors=None)(f, labels)
    torch.manual_seed(0)
    drawn = torch.stack([SupervisedContrastiveLoss(max_anchors=40)(f, labels) for _ in range(60)])
    assert drawn.std() > 0
    assert float(drawn.mean()) == pytest.approx(float(whole), abs=4 * float(drawn.std()) / 60**0.5)


def test_loss_is_zero_with_a_gradient_where_no_label_occurs_twice():
    for n in (1, 4):
        f = features(n).requires_grad_()
        loss = SupervisedContrastiveLoss()(f, torch.arange(n))
        loss.backward()
        assert loss == 0
        assert f.grad.isfinite().all()


def test_invalid_options_are_rejected():
    with pytest.raises(ConfigError, match='temperature=0'):
        SupervisedContrastiveLoss(temperature=0)
    with pytest.raises(ConfigError, match='max_anchors=0'):
        SupervisedContrastiveLoss(max_anchors=0)
