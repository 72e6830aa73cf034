import torch

from vadlab.models.layers.text_cache import TextCache


def test_encodes_anew_only_for_gradients_or_changed_weights():
    weight = torch.ones(2, requires_grad=True)
    cache, calls = TextCache(), []

    def encode():
        calls.append(1)
        return weight * 2

    with torch.no_grad():
        first = cache.get(encode, [weight])
        assert cache.get(encode, [weight]) is first
        assert len(calls) == 1
    assert cache.get(encode, [weight]).requires_grad
    assert len(calls) == 2
    with torch.no_grad():
        weight.add_(1)
        torch.testing.assert_close(cache.get(encode, [weight]), torch.full((2,), 4.0))
        other = torch.zeros(2)
        cache.get(encode, [other])
    assert len(calls) == 4
