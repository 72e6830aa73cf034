import pytest
import torch
import torch.nn.functional as F

from vadlab.models.layers.attention import attend


def gradients(attention, inputs, dtype, **options):
    inputs = inputs.detach().clone().to(dtype).requires_grad_()
    out = attention(*inputs, **options)
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out))
    return out.detach(), inputs.grad


def plain(query, key, value, mask=None, causal=False):
    """Softmax of the scaled products, written out."""
    logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if causal:
        mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return logits.softmax(-1) @ value


@pytest.mark.parametrize('options', [{}, dict(causal=True), dict(mask=torch.tensor([[True, False, True, True, True]]))])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_equals_softmax_of_scaled_products(options, dtype, tolerance):
    inputs = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0)).bfloat16().double()
    wanted = gradients(plain, inputs, torch.float64, **options)
    found = gradients(attend, inputs, dtype, **options)
    assert found[0].dtype == found[1].dtype == dtype
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, atol=tolerance, rtol=tolerance)


def test_bfloat16_is_at_least_as_exact_as_torchs_kernel_and_autocast_does_not_undo_it():
    inputs = torch.randn(3, 4, 4, 50, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = gradients(plain, inputs.double(), torch.float64)[1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        ours = gradients(attend, inputs, torch.bfloat16)[1]
    theirs = gradients(F.scaled_dot_product_attention, inputs, torch.bfloat16)[1]
    errors = [(x.double() - exact).norm() for x in (ours, theirs)]
    assert errors[0] < 0.95 * errors[1]


def test_without_gradients_the_inputs_type_is_kept(monkeypatch):
    seen = []
    original = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, 'scaled_dot_product_attention', lambda q, *a, **k: (seen.append(q.dtype), original(q, *a, **k))[1]
    )
    inputs = torch.randn(3, 1, 1, 4, 8).bfloat16()
    with torch.no_grad():
        attend(*inputs)
    attend(*inputs)
    assert seen == [torch.bfloat16, torch.float32]
