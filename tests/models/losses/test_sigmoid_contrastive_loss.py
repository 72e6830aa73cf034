import math
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from tests.gloo_ranks import end_rank
from vadlab.models.losses.sigmoid_contrastive_loss import SigmoidContrastiveLoss
from vadlab.models.losses.text_contrastive_loss import TextContrastiveLoss


def units(count, seed, dim=5, dtype=torch.float64):
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=-1)


def softplus(x):
    return math.log1p(math.exp(x))


def test_two_pairs_by_hand():
    queries, keys = torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # Logits 2 * cosine - 1: own 1 and 0.6, others 0.2 (first query, second key) and -1.
    wanted = (softplus(-1.0) + softplus(-0.6) + softplus(0.2) + softplus(-1.0)) / 2
    assert SigmoidContrastiveLoss(loss_weight=3.0)(queries, keys, 2.0, -1.0).item() == pytest.approx(3 * wanted)


def plain(
    queries, keys, scale, bias, ids, valid, extra_keys=(), extra_key_ids=(), extra_queries=(), extra_query_ids=()
):
    total = 0.0
    rows = [i for i in range(len(queries)) if valid[i]]
    for i in rows:
        for j in rows:
            logit = scale * queries[i] @ keys[j] + bias
            if i == j:
                total = total - F.logsigmoid(logit)
            elif ids[i] != ids[j]:
                total = total - F.logsigmoid(-logit)
        for key, other in zip(extra_keys, extra_key_ids, strict=True):
            if other != ids[i]:
                total = total - F.logsigmoid(-(scale * queries[i] @ key + bias))
        for query, other in zip(extra_queries, extra_query_ids, strict=True):
            if other != ids[i]:
                total = total - F.logsigmoid(-(scale * keys[i] @ query + bias))
    return total / len(rows)


def test_equal_captions_masked_pairs_and_the_queue_as_in_a_plain_loop():
    queries, keys = units(5, 0).requires_grad_(), units(5, 1).requires_grad_()
    ids, valid = torch.tensor([4, 5, 4, 6, 7]), torch.tensor([True, True, True, True, False])
    extra = dict(
        extra_keys=units(3, 2),
        extra_key_ids=torch.tensor([5, 9, 8]),
        extra_queries=units(2, 3),
        extra_query_ids=torch.tensor([6, 9]),
    )
    found = SigmoidContrastiveLoss()(queries, keys, 7.0, -2.0, group_ids=ids, valid=valid, **extra)
    wanted = plain(queries, keys, 7.0, -2.0, ids, valid, **extra)
    torch.testing.assert_close(found, wanted)
    grads = [torch.autograd.grad(loss, (queries, keys)) for loss in (found, wanted)]
    torch.testing.assert_close(grads[0], grads[1])
    assert not grads[0][0][4].any()


def test_gradients_of_scale_and_bias():
    queries, keys = units(3, 0), units(3, 1)
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (3.0, -1.0))
    assert torch.autograd.gradcheck(lambda s, b: SigmoidContrastiveLoss()(queries, keys, s, b), (scale, bias))


def test_extreme_logits_and_no_valid_pair_stay_finite():
    queries = units(2, 0, dtype=torch.float32).requires_grad_()
    keys = torch.tensor([[float('nan')] * 5, [0.0] * 5])
    nothing = SigmoidContrastiveLoss()(queries, keys, 100.0, -10.0, valid=torch.zeros(2, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0
    assert not queries.grad.any()
    loss = SigmoidContrastiveLoss()(-queries, queries, 1e4, 0.0)
    assert loss.isfinite()


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match='must pair up'):
        SigmoidContrastiveLoss()(units(2, 0), units(3, 0), 1.0)


def _on_rank(rank, store, folder):
    dist.init_process_group('gloo', f'file://{store}', rank=rank, world_size=2, timeout=timedelta(seconds=60))
    rows = slice(0, 3) if rank == 0 else slice(3, 5)
    queries, keys = units(5, 0)[rows].requires_grad_(), units(5, 1)[rows].requires_grad_()
    ids = torch.tensor([4, 5, 4, 6, 5])[rows]
    pairs = SigmoidContrastiveLoss()(queries, keys, 7.0, -2.0, group_ids=ids)
    texts = TextContrastiveLoss()(keys)
    (pairs + texts).backward()
    torch.save((pairs.detach(), texts.detach(), queries.grad / 2, keys.grad / 2), f'{folder}/{rank}.pt')
    end_rank()


@pytest.mark.slow
def test_two_ranks_with_unequal_rows_equal_one_process_also_for_the_contrast_of_texts(tmp_path):
    mp.spawn(_on_rank, (tmp_path / 'store', tmp_path), nprocs=2)
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1)]
    queries, keys = units(5, 0).requires_grad_(), units(5, 1).requires_grad_()
    pairs = SigmoidContrastiveLoss()(queries, keys, 7.0, -2.0, group_ids=torch.tensor([4, 5, 4, 6, 5]))
    texts = TextContrastiveLoss()(keys)
    (pairs + texts).backward()
    for rank in ranks:
        torch.testing.assert_close(rank[:2], (pairs.detach(), texts.detach()))
    # After DDP's average over the two ranks.
    torch.testing.assert_close(torch.cat([rank[2] for rank in ranks]), queries.grad)
    torch.testing.assert_close(torch.cat([rank[3] for rank in ranks]), keys.grad)
