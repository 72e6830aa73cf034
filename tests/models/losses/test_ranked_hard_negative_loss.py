from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from tests.gloo_ranks import end_rank
from vadlab.models.losses.ranked_hard_negative_loss import RankedHardNegativeLoss

SCALE = 4.0


def units(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, 6, generator=generator, dtype=torch.float64), dim=-1)


def plain(regions, candidates, valid, margin, ids=None):
    """The three terms one region and one text at a time, and the gap that sets the next margin."""
    ids = torch.arange(valid.numel()).view(valid.shape) if ids is None else ids
    rows = [r for r in range(len(regions)) if valid[r, 0] and valid[r, 1:].any()]
    cell = lambda r, n: SCALE * regions[r] @ candidates[r, n]  # noqa: E731
    contrast, pair, rank, captions, others = 0.0, 0.0, [], [], []
    for r in rows:
        rivals = [cell(r, 0)]
        for q in rows:
            for n in range(valid.shape[1]):
                if valid[q, n] and ids[q, n] != ids[r, 0]:
                    rivals.append(SCALE * regions[r] @ candidates[q, n])
        back = [cell(r, 0)] + [SCALE * regions[q] @ candidates[r, 0] for q in rows if ids[q, 0] != ids[r, 0]]
        contrast = contrast + (torch.stack(rivals).logsumexp(0) + torch.stack(back).logsumexp(0)) / 2 - cell(r, 0)
        negatives = [cell(r, n) for n in range(1, valid.shape[1]) if valid[r, n] and ids[r, n] != ids[r, 0]]
        pair = pair + torch.stack([cell(r, 0), *negatives]).logsumexp(0) - cell(r, 0)
        rank += [F.relu(margin + n - cell(r, 0)) for n in negatives]
        captions.append(cell(r, 0))
        others += negatives
    count = len(rows)
    total = 0.6 * contrast / count + 3 * pair / count + 0.4 * sum(rank) / len(rank)
    return 0.5 * total, (sum(captions) / len(captions) - sum(others) / len(others)).item()


def example():
    """Five regions: full, fewer negatives, no negative, no region, full."""
    valid = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]], dtype=torch.bool)
    regions, candidates = units(5), units(5, 4, seed=1)
    candidates[:, 0] = F.normalize(candidates[:, 0] + regions, dim=-1)  # captions match, so the margin is positive
    return regions, candidates, valid


def test_loss_gradients_and_margin_equal_a_plain_loop_with_any_number_of_negatives():
    regions, candidates, valid = example()
    regions, candidates = regions.requires_grad_(), candidates.requires_grad_()
    loss = RankedHardNegativeLoss()
    margin = 0.0
    for _ in range(2):  # the second time with a margin
        found = loss(regions, candidates, valid, SCALE)
        wanted, gap = plain(regions, candidates, valid, margin)
        torch.testing.assert_close(found, wanted)
        grads = [torch.autograd.grad(value, (regions, candidates)) for value in (found, wanted)]
        torch.testing.assert_close(grads[0], grads[1])
        margin = loss.margin.item()
        assert margin == pytest.approx(gap)
        assert margin > 0.5
    assert not grads[0][0][2:4].any()


def test_equal_texts_are_not_negatives():
    regions, candidates, valid = example()
    ids = torch.arange(20).view(5, 4)
    ids[4, 0], ids[0, 1], ids[4, 2] = ids[0, 0], ids[0, 0], ids[1, 0]
    found = RankedHardNegativeLoss()(regions, candidates, valid, SCALE, text_ids=ids)
    torch.testing.assert_close(found, plain(regions, candidates, valid, 0.0, ids)[0])


def test_margin_is_set_in_training_only_bounded_and_saved():
    regions, candidates, valid = example()
    loss = RankedHardNegativeLoss(max_margin=0.1).eval()
    loss(regions, candidates, valid, SCALE)
    assert loss.margin == 0
    loss.train()(regions, candidates, valid, SCALE)
    assert loss.margin.item() == pytest.approx(0.1)
    loss(regions, candidates, torch.zeros_like(valid), SCALE)  # nothing to measure
    assert loss.margin.item() == pytest.approx(0.1)
    assert loss.state_dict()['margin'].item() == pytest.approx(0.1)
    loss(regions, -candidates, valid, SCALE)  # captions are further away than negatives
    assert loss.margin == 0


def test_no_negatives_and_nan_in_masked_entries_give_zero_with_a_graph():
    regions = units(2).requires_grad_()
    candidates = torch.full((2, 3, 6), float('nan'), dtype=torch.float64)
    found = RankedHardNegativeLoss()(regions, candidates, torch.zeros(2, 3, dtype=torch.bool), SCALE)
    found.backward()
    assert found.item() == 0
    assert not regions.grad.any()
    empty = RankedHardNegativeLoss()(units(0), units(0, 1), torch.zeros(0, 1, dtype=torch.bool), SCALE)
    assert empty.item() == 0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='do not fit'):
        RankedHardNegativeLoss()(units(2), units(3, 2), torch.ones(3, 2, dtype=torch.bool), SCALE)


def _on_rank(rank, store, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    regions, candidates, valid = example()
    rows = slice(0, 3) if rank == 0 else slice(3, 5)
    own = (regions[rows].requires_grad_(), candidates[rows, : 4 - rank], valid[rows, : 4 - rank])
    found = {}
    for gather in (True, False):
        loss = RankedHardNegativeLoss(gather=gather)
        value = loss(*own, SCALE)
        found[gather] = (value.detach(), torch.autograd.grad(value, own[0])[0] / 2, loss.margin.clone())
    torch.save(found, f'{folder}/{rank}.pt')
    end_rank()


@pytest.mark.slow
def test_two_ranks_equal_one_batch_or_average_their_margins(tmp_path):
    mp.spawn(_on_rank, (tmp_path / 'store', tmp_path), nprocs=2)
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1)]
    regions, candidates, valid = example()
    regions.requires_grad_()
    loss = RankedHardNegativeLoss()
    whole = loss(regions, candidates, valid, SCALE)
    (grad,) = torch.autograd.grad(whole, regions)
    for value, _, margin in (rank[True] for rank in ranks):
        torch.testing.assert_close(value, whole.detach())
        torch.testing.assert_close(margin, loss.margin)
    torch.testing.assert_close(torch.cat([rank[True][1] for rank in ranks]), grad)  # after DDP's average
    gaps = [plain(regions[r], candidates[r], valid[r], 0.0)[1] for r in (slice(0, 3), slice(3, 5))]
    for _, _, margin in (rank[False] for rank in ranks):
        assert margin.item() == pytest.approx(sum(gaps) / 2)
