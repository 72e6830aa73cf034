import copy

import pytest
import torch

from vadlab.engine.optim.stable_adamw import StableAdamW
from vadlab.utils.errors import ConfigError


def _run(make, steps=5, spike=1.0):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(4, 3, generator=generator).requires_grad_(), torch.randn(5, generator=generator)]
    weights[1].requires_grad_()
    optimizer = make(weights)
    for step in range(steps):
        for w in weights:
            w.grad = torch.randn(w.shape, generator=generator) * (spike if step == steps - 1 else 1.0)
        optimizer.step()
    return [w.detach() for w in weights]


@pytest.mark.parametrize('amsgrad', [False, True])
def test_without_a_threshold_equals_torch_adamw(amsgrad):
    options = dict(lr=0.1, weight_decay=0.2, amsgrad=amsgrad)
    ours = _run(lambda w: StableAdamW(w, clip_threshold=None, **options))
    torch.testing.assert_close(ours, _run(lambda w: torch.optim.AdamW(w, **options)))


def test_a_step_as_the_paper_writes_it():
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = StableAdamW([weight], lr=0.1, betas=(0.5, 0.9), eps=0.0, weight_decay=0.1, clip_threshold=1.0)
    weight.grad = torch.tensor([1.0, 1.0])
    optimizer.step()  # both moments are the gradient's: a full step, and RMS 1 does not clip
    expected = torch.tensor([1.0, -2.0]) * 0.99 - 0.1
    torch.testing.assert_close(weight.detach(), expected)
    weight.grad = torch.tensor([3.0, 3.0])
    optimizer.step()
    root = ((0.9 * 0.1 * 1 + 0.1 * 9) / (1 - 0.9**2)) ** 0.5
    rms = 3 / root
    assert rms > 1
    mean = (0.5 * 0.5 * 1 + 0.5 * 3) / (1 - 0.5**2)
    torch.testing.assert_close(weight.detach(), expected * 0.99 - 0.1 / rms * mean / root)


def test_a_sudden_gradient_moves_weights_less_than_adamw_does():
    clipped, plain = (_run(lambda w, c=c: StableAdamW(w, lr=0.1, clip_threshold=c), spike=50.0) for c in (1.0, None))
    before = _run(lambda w: StableAdamW(w, lr=0.1, clip_threshold=None), steps=4)
    assert (clipped[0] - before[0]).norm() < 0.5 * (plain[0] - before[0]).norm()


def test_groups_with_and_without_clipping_and_a_state_that_goes_on():
    def make(weights):
        return StableAdamW([{'params': weights[:1]}, {'params': weights[1:], 'clip_threshold': None}], amsgrad=True)

    assert [g['clip_threshold'] for g in make([torch.zeros(1), torch.zeros(1)]).param_groups] == [1.0, None]
    weight = torch.ones(2, requires_grad=True)
    twin = weight.detach().clone().requires_grad_()
    first, second = StableAdamW([weight], amsgrad=True), StableAdamW([twin], amsgrad=True)
    weight.grad = torch.ones(2)
    first.step()
    twin.data.copy_(weight.data)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for w, optimizer in ((weight, first), (twin, second)):
        w.grad = torch.tensor([0.5, -1.0])
        optimizer.step()
    torch.testing.assert_close(weight, twin)


def test_a_closure_is_evaluated_with_gradients():
    weight = torch.ones(1, requires_grad=True)
    optimizer = StableAdamW([weight])

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert weight.item() < 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(lr=-1.0), 'lr=-1.0'), (dict(clip_threshold=0.0), 'clip_threshold=0.0'), (dict(betas=(0.9, 1.0)), 'betas')],
)
def test_values_out_of_range_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        StableAdamW([torch.zeros(1, requires_grad=True)], **options)
