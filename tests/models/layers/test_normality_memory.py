import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.layers.normality_memory import NormalityMemory


@pytest.fixture
def memory():
    torch.manual_seed(0)
    return NormalityMemory(4, 3).double()


def queries(count):
    return F.normalize(torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), dim=1)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def nearest_first(query, items):
    return sorted(range(len(items)), key=lambda i: -dot(query, items[i]))


def test_items_begin_with_unit_length(memory):
    torch.testing.assert_close(memory.items.norm(dim=1), torch.ones(4, dtype=torch.float64))


def test_read_is_the_softmax_weighted_sum_by_an_independent_loop(memory):
    found, items = memory.read(queries(5)), memory.items.tolist()
    for query, row in zip(queries(5).tolist(), found.tolist(), strict=True):
        powers = [math.exp(dot(query, item)) for item in items]
        expected = [sum(p * item[k] for p, item in zip(powers, items, strict=True)) / sum(powers) for k in range(3)]
        assert row == pytest.approx(expected)


def test_losses_by_an_independent_loop(memory):
    compact, separate = memory.losses(queries(6))
    items, squares, triplets = memory.items.tolist(), [], []
    for query in queries(6).tolist():
        first, second = (items[i] for i in nearest_first(query, items)[:2])
        squares += [(q - f) ** 2 for q, f in zip(query, first, strict=True)]
        # torch's distance adds 1e-6 to each difference
        apart = [
            math.sqrt(sum((q - x + 1e-6) ** 2 for q, x in zip(query, item, strict=True))) for item in (first, second)
        ]
        triplets.append(max(apart[0] - apart[1] + 1, 0))
    assert float(compact) == pytest.approx(sum(squares) / len(squares))
    assert float(separate) == pytest.approx(sum(triplets) / len(triplets))


def test_distance_is_the_compactness_of_each_query(memory):
    assert memory.distance(queries(6)).mean() == pytest.approx(float(memory.losses(queries(6))[0]))


def test_update_by_an_independent_loop_with_items_that_nothing_is_near_to(memory):
    given = F.normalize(torch.randn(9, 3, dtype=torch.float64), dim=1)  # more than there are queries
    items, found = given.tolist(), memory.updated(queries(7), given)
    rows = queries(7).tolist()
    similar = [[dot(q, item) for item in items] for q in rows]
    owner = [nearest_first(q, items)[0] for q in rows]
    assert len(set(owner)) < len(items)
    for i, item in enumerate(items):
        powers = [math.exp(s[i]) for s in similar]
        new = list(item)
        for q, power, belongs in zip(rows, powers, owner, strict=True):
            if belongs == i:
                new = [n + power / max(powers) * x for n, x in zip(new, q, strict=True)]
        length = math.sqrt(dot(new, new))
        assert found[i].tolist() == pytest.approx([n / length for n in new])


def test_gradients_reach_queries_by_the_losses_but_not_by_reading(memory):
    query = queries(5).requires_grad_()
    assert not memory.read(query).requires_grad
    assert not memory.updated(query).requires_grad
    sum(memory.losses(query)).backward()
    assert query.grad.abs().sum() > 0
