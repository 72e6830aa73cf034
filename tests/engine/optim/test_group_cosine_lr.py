import math

import pytest
import torch

from vadlab.engine.optim.group_cosine_lr import GroupCosineLR
from vadlab.utils.errors import ConfigError


def _optimizer():
    groups = [
        {'params': [torch.zeros(1, requires_grad=True)], 'lr': lr, 'name': n} for n, lr in (('a', 1.0), ('b', 0.5))
    ]
    return torch.optim.SGD(groups)


def _rates(steps, *schedules):
    optimizer = _optimizer()
    schedulers = [GroupCosineLR(optimizer, end=steps, **options) for options in schedules]
    found = []
    for _ in range(steps):
        found.append([g['lr'] for g in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return zip(*found, strict=True)


def test_one_group_follows_and_the_other_stays():
    a, b = _rates(4, dict(group='b'))
    assert a == (1.0,) * 4
    assert b == pytest.approx([0.25 * (1 + math.cos(math.pi * s / 4)) for s in range(4)])


def test_two_schedules_do_not_disturb_each_other():
    alone_a, _ = _rates(12, dict(group='a', warmup_steps=3, min_ratio=0.1, stretch=2.0))
    _, alone_b = _rates(12, dict(group='b', stairs=3))
    both = _rates(12, dict(group='a', warmup_steps=3, min_ratio=0.1, stretch=2.0), dict(group='b', stairs=3))
    assert list(both) == [alone_a, alone_b]


def test_warm_up_from_nothing_then_a_cosine_that_the_run_does_not_finish():
    a, _ = _rates(10, dict(group='a', warmup_steps=3, min_ratio=0.1, stretch=2.0))
    assert a[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert a[3:] == pytest.approx([0.1 + 0.45 * (1 + math.cos(math.pi * s / 17)) for s in range(7)])


def test_stairs_equal_torch_cosine_by_epoch():
    a, _ = _rates(15, dict(group='a', stairs=5))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    for epoch in range(5):
        assert a[3 * epoch : 3 * epoch + 3] == pytest.approx([optimizer.param_groups[0]['lr']] * 3)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(group='c'), r"no group 'c', only \['a', 'b'\]"),
        (dict(group='a', by_epoch=True), 'by_epoch=False'),
        (dict(group='a', stretch=0.5), 'stretch=0.5'),
        (dict(group='a', min_ratio=2.0), r'min_ratio=2\.0'),
        (dict(group='a', stairs=0), 'stairs=0'),
    ],
)
def test_what_cannot_be_is_an_error(options, message):
    with pytest.raises(ConfigError, match=message):
        GroupCosineLR(_optimizer(), end=5, **options)
