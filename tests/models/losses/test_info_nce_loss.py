import math
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from tests.gloo_ranks import end_rank
from vadlab.models.losses.info_nce_loss import InfoNCELoss, caption_ids


def _pairs(n=5, d=8, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return tuple(F.normalize(torch.randn(n, d, generator=generator, dtype=dtype), dim=-1) for _ in range(2))


def test_two_pairs_equal_the_value_by_hand():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = math.log(1 + math.exp(-3.0))  # each row: log(e^3 + e^0) - 3
    assert InfoNCELoss()(queries, keys, 3.0).item() == pytest.approx(expected, rel=1e-6)
    assert InfoNCELoss(loss_weight=0.1)(queries, keys, 3.0).item() == pytest.approx(0.1 * expected, rel=1e-6)


def test_equals_torch_cross_entropy_in_both_directions():
    queries, keys = _pairs()
    extra_keys, extra_queries = _pairs(n=7, seed=1)
    target = torch.arange(5)
    forth = F.cross_entropy(20 * queries @ torch.cat([keys, extra_keys]).T, target)
    back = F.cross_entropy(20 * keys @ torch.cat([queries, extra_queries]).T, target)
    loss = InfoNCELoss()(queries, keys, torch.tensor(20.0), extra_keys=extra_keys, extra_queries=extra_queries)
    torch.testing.assert_close(loss, (forth + back) / 2)


def test_equal_ids_are_not_negatives_in_the_batch_or_the_queue():
    queries, keys = _pairs(n=3)
    extra_keys, extra_queries = _pairs(n=2, seed=1)
    loss = InfoNCELoss()(
        queries,
        keys,
        10.0,
        group_ids=torch.tensor([4, 4, 9]),
        extra_keys=extra_keys,
        extra_key_ids=torch.tensor([9, 1]),
        extra_queries=extra_queries,
        extra_query_ids=torch.tensor([1, 4]),
    )

    def row(query, positive, negatives):
        logits = 10.0 * torch.stack([query @ positive] + [query @ n for n in negatives])
        return -logits.log_softmax(0)[0]

    expected = [
        row(queries[0], keys[0], [keys[2], *extra_keys]),
        row(queries[1], keys[1], [keys[2], *extra_keys]),
        row(queries[2], keys[2], [keys[0], keys[1], extra_keys[1]]),
        row(keys[0], queries[0], [queries[2], extra_queries[0]]),
        row(keys[1], queries[1], [queries[2], extra_queries[0]]),
        row(keys[2], queries[2], [queries[0], queries[1], *extra_queries]),
    ]
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_masked_pairs_are_ignored_even_if_nan():
    queries, keys = _pairs(n=4)
    keep = torch.tensor([True, False, True, True])
    expected = InfoNCELoss()(queries[keep], keys[keep], 5.0)
    queries = queries.clone()
    queries[1] = float('nan')
    queries.requires_grad_()
    loss = InfoNCELoss()(queries, keys, 5.0, valid=keep)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    assert queries.grad.isfinite().all()
    assert (queries.grad[1] == 0).all()


@pytest.mark.parametrize('n', [0, 3])
def test_loss_without_valid_pairs_is_zero_with_a_graph(n):
    queries, keys = (x.requires_grad_() for x in _pairs(n=n))
    loss = InfoNCELoss()(queries, keys, 5.0, valid=torch.zeros(n, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert queries.grad.shape == (n, 8)


def test_gradcheck():
    queries, keys = (x.requires_grad_() for x in _pairs(n=3, d=4, dtype=torch.float64))
    extra = _pairs(n=2, d=4, seed=1, dtype=torch.float64)[0]
    scale = torch.tensor(7.0, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([1, 2, 1])

    def loss(queries, keys, scale):
        return InfoNCELoss()(queries, keys, scale, ids, extra, torch.tensor([2, 5]), extra)

    assert torch.autograd.gradcheck(loss, (queries, keys, scale))


def test_extreme_logits_stay_finite():
    queries, keys = _pairs()
    loss = InfoNCELoss()(queries.requires_grad_(), -keys, 1e4)
    loss.backward()
    assert loss.isfinite()
    assert queries.grad.isfinite().all()


def test_half_precision_embeddings_give_a_float32_loss():
    queries, keys = _pairs()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = InfoNCELoss()(queries.bfloat16(), keys.bfloat16(), 100.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, InfoNCELoss()(queries.bfloat16().float(), keys.bfloat16().float(), 100.0))


def test_unpaired_shapes_are_rejected():
    with pytest.raises(ValueError, match=r'queries \(2, 4\) and keys \(3, 4\) must pair up'):
        InfoNCELoss()(torch.zeros(2, 4), torch.zeros(3, 4), 1.0)


def test_caption_ids_distinguish_sequences_for_any_padding():
    tokens = [torch.tensor(t) for t in ([5, 6, 7], [5, 6], [5, 6, 7], [7, 6, 5], [0, 5], [5])]
    ids = caption_ids(tokens)
    assert ids[0] == ids[2]
    assert len(set(ids.tolist())) == 5
    assert caption_ids([tokens[1], torch.arange(50)])[0] == ids[1]
    assert caption_ids([]).shape == (0,)


def _rank_loss(rank, path):
    dist.init_process_group('gloo', f'file://{path}/store', rank=rank, world_size=2, timeout=timedelta(seconds=300))
    torch.set_num_threads(1)
    rows = slice(0, 3) if rank == 0 else slice(3, 5)
    queries, keys = (x[rows].clone().requires_grad_() for x in _pairs())
    scale = torch.tensor(9.0, requires_grad=True)
    ids = torch.tensor([1, 2, 3, 1, 5])[rows]
    valid = torch.tensor([True, True, False, True, True])[rows]
    loss = InfoNCELoss()(queries, keys, scale, group_ids=ids, valid=valid)
    loss.backward()
    torch.save([loss.detach(), queries.grad, keys.grad, scale.grad], f'{path}/{rank}.pth')
    end_rank()


def test_two_ranks_with_unequal_rows_equal_one_process(tmp_path):
    mp.spawn(_rank_loss, args=(str(tmp_path),), nprocs=2)
    queries, keys = (x.requires_grad_() for x in _pairs())
    scale = torch.tensor(9.0, requires_grad=True)
    valid = torch.tensor([True, True, False, True, True])
    loss = InfoNCELoss()(queries, keys, scale, group_ids=torch.tensor([1, 2, 3, 1, 5]), valid=valid)
    loss.backward()
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    for rank in ranks:
        torch.testing.assert_close(rank[0], loss.detach())
    # DDP averages over the two ranks, which halves what each rank's backward pass accumulated.
    torch.testing.assert_close(torch.cat([rank[1] for rank in ranks]) / 2, queries.grad)
    torch.testing.assert_close(torch.cat([rank[2] for rank in ranks]) / 2, keys.grad)
    torch.testing.assert_close((ranks[0][3] + ranks[1][3]) / 2, scale.grad)
