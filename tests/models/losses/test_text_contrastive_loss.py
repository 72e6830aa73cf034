import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.losses.text_contrastive_loss import TextContrastiveLoss


def units(count, seed=0, dim=6):
    return F.normalize(
        torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )


def test_three_texts_by_hand():
    # Cosines: first and second 0.6, first and third 0.8, second and third 0.96, which counts as 0.
    texts = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    rows = [[0.0, 0.6, 0.8], [0.6, 0.0, 0.0], [0.8, 0.0, 0.0]]
    wanted = sum(math.log(sum(map(math.exp, row))) for row in rows) / 3
    assert TextContrastiveLoss(loss_weight=2.0)(texts).item() == pytest.approx(2 * wanted)
    two = [sorted(row)[1:] for row in rows]
    wanted = sum(math.log(sum(map(math.exp, row))) for row in two) / 3
    assert TextContrastiveLoss(loss_weight=1.0, num_nearest=2)(texts).item() == pytest.approx(wanted)


def test_more_texts_than_nearest_as_in_a_plain_loop():
    texts = units(14)
    total = 0.0
    for i, text in enumerate(texts):
        cosines = [float(text @ other) if i != j else 0.0 for j, other in enumerate(texts)]
        nearest = sorted((c if c <= 0.5 else 0.0 for c in cosines), reverse=True)[:10]
        total += math.log(sum(map(math.exp, nearest)))
    found = TextContrastiveLoss(loss_weight=1.0, max_similarity=0.5)(texts)
    assert found.item() == pytest.approx(total / 14)


def test_gradients_and_too_few_texts():
    assert torch.autograd.gradcheck(TextContrastiveLoss(num_nearest=3), units(5).requires_grad_())
    for count in (0, 1):
        texts = units(count).requires_grad_()
        loss = TextContrastiveLoss()(texts)
        loss.backward()
        assert loss.item() == 0
        assert not texts.grad.any()
