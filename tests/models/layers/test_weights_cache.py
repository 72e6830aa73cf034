import pytest
import torch
from torch import nn

from vadlab.models.layers.weights_cache import WeightsCache, steady_weights


class Encoder(nn.Module):
    """Doubles a weight and counts its calls."""

    def __init__(self, learns=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.cache = WeightsCache(learns)
        self.calls = 0

    def encode(self):
        self.calls += 1
        return self.weight * 2

    def forward(self):
        return self.cache.get(self.encode)


def test_computes_once_per_scope_and_again_in_the_next():
    model = Encoder()
    with torch.no_grad():
        with steady_weights():
            first = model()
            assert model() is first
        assert model.calls == 1
        with steady_weights():
            assert model() is not first
            assert model.calls == 2


def write_by_hand(model):
    model.weight.data.copy_(torch.full((2,), 3.0))


def swap_data(model):
    model.weight.data = torch.full((2,), 3.0)


def load(model):
    model.load_state_dict({'weight': torch.full((2,), 3.0)})


def optimize(model, **options):
    model.weight.grad = torch.full((2,), -2.0)
    torch.optim.SGD(model.parameters(), lr=1.0, **options).step()


@pytest.mark.parametrize(
    'change',
    [
        write_by_hand,
        swap_data,
        load,
        lambda model: optimize(model, fused=True),
        lambda model: optimize(model, foreach=True),
        lambda model: optimize(model, foreach=False),
    ],
    ids=['data', 'swap', 'load', 'fused', 'foreach', 'plain'],
)
@pytest.mark.parametrize('learning', [None, True])
def test_every_change_of_a_weight_is_noticed(change, learning):
    model = Encoder()
    with torch.no_grad(), steady_weights():
        model()

    def train():
        with torch.no_grad():
            torch.testing.assert_close(model(), torch.full((2,), 2.0))
            change(model)
            torch.testing.assert_close(model(), torch.full((2,), 6.0))

    train() if learning is None else steady_weights(learning=True)(train)()
    with torch.no_grad(), steady_weights():
        torch.testing.assert_close(model(), torch.full((2,), 6.0))


def test_gradients_are_never_lost():
    model = Encoder()
    with steady_weights():
        with torch.no_grad():
            model()
        assert model().requires_grad


def test_validation_inside_training_has_its_own_scope():
    model, frozen = Encoder(), Encoder(learns=False)
    with steady_weights(learning=True):
        for expected in (1, 2):
            with torch.no_grad(), steady_weights():
                for _ in range(3):
                    model(), frozen()
            assert model.calls == expected
            assert frozen.calls == 2 * expected - 1
            frozen(), frozen()
            assert frozen.calls == 2 * expected


def test_scope_ends_when_an_error_is_raised():
    model = Encoder()

    @steady_weights()
    def validate():
        model()
        raise ZeroDivisionError

    with torch.no_grad():
        with pytest.raises(ZeroDivisionError):
            validate()
        write_by_hand(model)
        assert model().tolist() == [6, 6]


def test_autocast_has_its_own_value():
    model = Encoder()
    model.encode = lambda: model.weight[None] @ model.weight[:, None]
    with torch.no_grad(), steady_weights():
        kinds = []
        for enabled in (False, True, True, False):
            with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
                kinds.append(model().dtype)
    assert kinds == [torch.float32, torch.bfloat16, torch.bfloat16, torch.float32]
