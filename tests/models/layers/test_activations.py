import pytest
import torch

from vadlab.models.layers.activations import QuickGELU, build_activation
from vadlab.utils.errors import ConfigError


def test_values_equal_the_formula():
    x = torch.linspace(-6, 6, 41, dtype=torch.float64)
    torch.testing.assert_close(QuickGELU()(x), x * torch.sigmoid(1.702 * x))


def test_gradient_equals_autograd_of_the_formula():
    x = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    weight = torch.linspace(-1, 2, 41, dtype=torch.float64)
    ours = torch.autograd.grad((QuickGELU()(x) * weight).sum(), x)[0]
    theirs = torch.autograd.grad((x * torch.sigmoid(1.702 * x) * weight).sum(), x)[0]
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(QuickGELU(), x)


def test_one_tensor_is_kept_for_the_backward_pass():
    kept = []
    x = torch.randn(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        QuickGELU()(x * 1.0)
    # x * 1.0 saves nothing except data of the scalar
    assert [t.shape for t in kept] == [(5,)]


def test_unknown_activation_is_rejected():
    assert isinstance(build_activation('gelu'), torch.nn.GELU)
    with pytest.raises(ConfigError, match="hidden_act='relu' is not one of 'quick_gelu', 'gelu'"):
        build_activation('relu')
