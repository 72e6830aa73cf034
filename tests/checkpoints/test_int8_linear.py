import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vadlab.checkpoints.int8_linear import Int8Linear, quantize_linears, replace_linear
from vadlab.checkpoints.quantization import SCHEME, prepare_quantized
from vadlab.utils.errors import CheckpointError


@pytest.mark.parametrize(('rows', 'shape'), [(1, (64, 64)), (7, (65, 67)), (40, (256, 96))])
def test_equals_integer_products_of_numpy(rows, shape):
    torch.manual_seed(rows)
    linear = torch.nn.Linear(*shape)
    x = torch.randn(rows, shape[0]) * torch.logspace(-3, 3, rows)[:, None]  # rows of any size

    def integers(values):
        scale = np.abs(values).max(1, keepdims=True) / 127
        return np.round(values / scale).astype(np.int64), scale

    inputs, input_scale = integers(x.numpy().astype(np.float32))
    weights, weight_scale = integers(linear.weight.detach().numpy())
    expected = (inputs @ weights.T) * (input_scale * weight_scale.T) + linear.bias.detach().numpy()
    out = Int8Linear(linear)(x)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(out, linear(x), rtol=0.05, atol=0.03 * float(x.abs().max()))


def test_shapes_biases_and_nothing():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 80, bias=False)
    layer = Int8Linear(linear)
    x = torch.randn(2, 3, 64)
    torch.testing.assert_close(layer(x)[1, 2], layer(x[1, 2]))
    assert layer(x).shape == (2, 3, 80)
    assert layer(torch.zeros(2, 64)).abs().sum() == 0
    half = linear.weight.detach().abs().max().item() / 254  # of a step
    torch.testing.assert_close(layer.weight, linear.weight, rtol=0, atol=half + 1e-7)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), rtol=0, atol=0.05)


def test_which_layers_are_replaced_and_that_their_weights_load_again():
    def build():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(64, 128),
            torch.nn.Conv1d(1, 1, 1),
            torch.nn.MultiheadAttention(64, 2),
            torch.nn.Linear(128, 5),
        )

    model = build()
    assert quantize_linears(model) == ['0']  # attention reads its output layer's weights; five classes stay exact
    state = model.state_dict()
    assert sum(v.numel() * v.element_size() for k, v in state.items() if k.startswith('0.')) == 128 * (64 + 4 + 4)
    again = build()
    replace_linear(again, '0')
    again.load_state_dict(state)
    x = torch.randn(3, 64)
    assert torch.equal(again[0](x), model[0](x))
    for name in ('1', 'none.0'):
        with pytest.raises(KeyError, match=name):
            replace_linear(again, name)


@pytest.mark.parametrize(
    ('about', 'message'),
    [
        (None, "unknown scheme: 'None'"),
        (['x'], 'unknown scheme'),
        ({}, 'unknown scheme'),
        ({'scheme': SCHEME}, 'does not name the layers'),
        ({'scheme': SCHEME, 'layers': 'fc'}, 'does not name the layers'),
        ({'scheme': SCHEME, 'layers': [3]}, 'does not name the layers'),
        ({'scheme': SCHEME, 'layers': ['a.b']}, 'has no linear layer a.b'),
        ({'scheme': SCHEME, 'layers': ['0', '0']}, 'has no linear layer 0'),
    ],
)
def test_a_wrong_note_of_quantised_layers_is_one_error(about, message):
    model = torch.nn.Sequential(torch.nn.Linear(64, 64))
    with pytest.raises(CheckpointError, match=message):
        prepare_quantized(model, {'quantization': about, 'state_dict': model.state_dict()}, 'x.pth')
