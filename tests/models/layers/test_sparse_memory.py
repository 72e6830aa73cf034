import math

import pytest
import torch

from vadlab.models.layers.sparse_memory import SparseMemory, attention_entropy


def with_items(items, **options):
    memory = SparseMemory(len(items), len(items[0]), **options)
    memory.weight.data = torch.tensor(items)
    return memory


def test_without_threshold_it_is_plain_attention_by_hand():
    memory = with_items([[1.0, 0.0], [0.0, 1.0]], shrink_threshold=0)
    read, attention = memory(torch.tensor([[math.log(3.0), 0.0]]))
    torch.testing.assert_close(attention, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(read, torch.tensor([[0.75, 0.25]]))


def test_small_weights_become_zero_and_the_others_sum_to_one_by_hand():
    memory = with_items([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], shrink_threshold=0.25)
    # softmax of log 4, log 2 and 0: 4/7, 2/7, 1/7
    read, attention = memory(torch.tensor([[math.log(4.0), math.log(2.0)]]))
    torch.testing.assert_close(attention, torch.tensor([[2 / 3, 1 / 3, 0.0]]))
    torch.testing.assert_close(read, torch.tensor([[2 / 3, 1 / 3]]))


def test_items_begin_within_the_inverse_root_of_their_width():
    torch.manual_seed(0)
    weight = SparseMemory(100, 16).weight
    assert weight.abs().max() <= 0.25
    assert weight.abs().max() > 0.24


def test_entropy_by_hand_and_of_a_single_item():
    even, single = torch.full((1, 4), 0.25), torch.tensor([[1.0, 0.0]])
    assert float(attention_entropy(even)) == pytest.approx(math.log(4))
    assert float(attention_entropy(single)) == pytest.approx(0, abs=1e-6)
    assert float(attention_entropy(torch.cat([even, even]))) == pytest.approx(math.log(4))


def test_gradients_reach_features_and_items():
    memory = with_items([[1.0, 0.0], [0.0, 1.0], [0.3, 0.0]], shrink_threshold=0.01)
    features = torch.tensor([[0.5, 0.1]], requires_grad=True)
    read, attention = memory(features)
    (read.square().sum() + attention_entropy(attention)).backward()
    assert features.grad.abs().sum() > 0
    assert (memory.weight.grad.abs().sum(1) > 0).all()
