import math

import pytest
import torch

from vadlab.engine.optim.warmup_cosine_lr import WarmupCosineLR
from vadlab.utils.errors import ConfigError


def rates(steps, **options):
    optimizer = torch.optim.SGD([{'params': [torch.zeros(1, requires_grad=True)], 'lr': lr} for lr in (1.0, 0.5)])
    scheduler = WarmupCosineLR(optimizer, end=steps, **options)
    found = []
    for _ in range(steps):
        found.append([g['lr'] for g in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def test_values_by_hand():
    found = rates(6, warmup_ratio=1 / 3)
    expected = [0.5, 1.0, 1.0, (1 + math.cos(math.pi / 4)) / 2, 0.5, (1 + math.cos(3 * math.pi / 4)) / 2]
    assert [a for a, _ in found] == pytest.approx(expected)
    assert [b for _, b in found] == pytest.approx([0.5 * e for e in expected])


def test_floor_and_counted_warmup():
    found = [a for a, _ in rates(100, warmup_steps=10, min_ratio=0.1)]
    assert found[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert min(found[10:]) == pytest.approx(0.1, abs=1e-3)


def test_torch_cosine_after_warmup_equals_ours():
    found = [a for a, _ in rates(20, warmup_steps=0)]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    for value in found:
        assert value == pytest.approx(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize('steps', [1, 2])
def test_shortest_runs(steps):
    assert all(0 < a <= 1 for a, _ in rates(steps))


def test_state_goes_on():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = WarmupCosineLR(optimizer, end=10)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    other = WarmupCosineLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), end=10)
    other.load_state_dict(scheduler.state_dict())
    other.optimizer.step()
    other.step()
    scheduler.optimizer.step()
    scheduler.step()
    assert other.get_last_value() == scheduler.get_last_value()


@pytest.mark.parametrize('options', [dict(warmup_ratio=2.0), dict(min_ratio=-1.0), dict(by_epoch=True)])
def test_options_that_cannot_be(options):
    with pytest.raises(ConfigError, match='WarmupCosineLR'):
        rates(3, **options)
