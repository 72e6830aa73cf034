import math

import pytest
import torch
from torch import nn

from vadlab.models.layers.logit_scale import new_logit_scale, scale_of


def test_starts_at_one_by_seven_hundredths():
    assert scale_of(new_logit_scale()).item() == pytest.approx(1 / 0.07, rel=1e-6)


def test_never_exceeds_a_hundred_and_can_decrease_again():
    scale = nn.Parameter(torch.tensor(6.0))
    value = scale_of(scale)
    assert value.item() == pytest.approx(100.0, rel=1e-5)
    assert scale.item() == pytest.approx(math.log(100))
    value.backward()
    assert scale.grad.item() == pytest.approx(100.0, rel=1e-5)
