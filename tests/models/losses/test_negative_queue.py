import pytest
import torch
import torch.nn.functional as F

from vadlab.models.losses.info_nce_loss import InfoNCELoss
from vadlab.models.losses.negative_queue import NegativeQueue
from vadlab.utils.errors import ConfigError


def _pairs(*ids):
    """Pairs that are identified by their values: query = id, key = -id."""
    ids = torch.tensor(ids)
    return ids[:, None].float(), -ids[:, None].float(), ids


def _held(queue):
    return sorted(queue.negatives()['extra_key_ids'].tolist())


def test_first_in_first_out():
    queue = NegativeQueue(1, size=3, warmup=0)
    assert queue.negatives() == {}
    queue.enqueue(*_pairs(1, 2))
    assert (_held(queue), queue.fill, queue.pointer) == ([1, 2], 2, 2)
    queue.enqueue(*_pairs(3, 4))
    assert (_held(queue), queue.fill, queue.pointer) == ([2, 3, 4], 3, 1)
    queue.enqueue(*_pairs(5))
    assert _held(queue) == [3, 4, 5]
    out = queue.negatives()
    assert torch.equal(out['extra_queries'][:, 0].long(), out['extra_query_ids'])
    assert torch.equal(out['extra_keys'], -out['extra_queries'])


def test_a_batch_larger_than_the_queue_leaves_its_last_pairs():
    queue = NegativeQueue(1, size=3, warmup=0)
    queue.enqueue(*_pairs(1, 2, 3, 4, 5))
    assert _held(queue) == [3, 4, 5]
    queue.enqueue(*_pairs(6))
    assert _held(queue) == [4, 5, 6]


def test_an_empty_batch_changes_nothing():
    queue = NegativeQueue(1, size=3, warmup=0)
    queue.enqueue(torch.zeros(0, 1), torch.zeros(0, 1), torch.zeros(0, dtype=torch.long))
    assert queue.fill == 0


def test_warmup_counts_optimizer_steps_and_logs_its_end_once(log):
    queue = NegativeQueue(1, size=4, warmup=2, name='queue of regions')
    for i in range(8):  # batches of an accumulated step are not counted
        queue.enqueue(*_pairs(i))
    assert not queue.is_serving
    queue.after_optimizer_step()
    assert queue.negatives() == {}
    queue.after_optimizer_step()
    assert _held(queue) == [4, 5, 6, 7]
    queue.after_optimizer_step()
    assert log.messages == ['queue of regions: starts to serve 4 negatives after optimizer step 2.']


@pytest.mark.parametrize(('max_steps', 'warmup'), [(10000, 50), (500, 50), (300, 30), (9, 0)])
def test_automatic_warmup_is_fifty_steps_or_a_tenth_of_all(max_steps, warmup):
    queue = NegativeQueue(1)
    queue.before_train(max_steps)
    assert queue.warmup == warmup


def test_an_explicit_warmup_is_kept():
    queue = NegativeQueue(1, warmup=7)
    queue.before_train(10)
    assert queue.warmup == 7


def test_a_run_that_never_counts_steps_gets_a_warning(log):
    queue = NegativeQueue(1, warmup=5)
    for _ in range(300):
        queue.enqueue(*_pairs(1))
    assert len(log.messages) == 1
    assert 'OptimizerStepHook' in log.messages[0]


def test_state_survives_a_checkpoint():
    queue = NegativeQueue(1, size=3, warmup=2)
    queue.enqueue(*_pairs(1, 2, 3, 4))
    queue.after_optimizer_step()
    queue.after_optimizer_step()
    other = NegativeQueue(1, size=3, warmup=2)
    other.load_state_dict(queue.state_dict())
    assert (other.num_steps, other.fill, other.pointer, other.is_serving) == (2, 3, 1, True)
    for a, b in ((queue, other), (other, queue)):
        a.enqueue(*_pairs(5))
        b.enqueue(*_pairs(5))
    assert all(torch.equal(a, b) for a, b in zip(queue.state_dict().values(), other.state_dict().values(), strict=True))


def test_returned_negatives_are_not_overwritten_before_the_backward_pass():
    queue = NegativeQueue(2, size=2, warmup=0)
    queue.enqueue(torch.ones(2, 2), torch.ones(2, 2), torch.tensor([1, 2]))
    anchor = torch.ones(1, 2, requires_grad=True)
    logits = anchor @ queue.negatives()['extra_keys'].T
    queue.enqueue(torch.zeros(2, 2), torch.zeros(2, 2), torch.tensor([3, 4]))
    logits.sum().backward()
    assert anchor.grad.tolist() == [[2.0, 2.0]]


def test_equal_captions_in_the_queue_are_not_negatives():
    torch.manual_seed(0)
    queries, keys, old_q, old_k = (F.normalize(torch.randn(3, 4), dim=-1) for _ in range(4))
    ids = torch.tensor([1, 2, 3])
    queue = NegativeQueue(4, warmup=0)
    queue.enqueue(old_q, old_k, torch.tensor([1, 8, 9]))
    loss = InfoNCELoss()(queries, keys, 5.0, group_ids=ids, **queue.negatives())
    total = 0.0
    for i in range(3):
        for a, b, extra in ((queries, keys, old_k), (keys, queries, old_q)):
            kept = [j for j, other in enumerate([1, 8, 9]) if other != ids[i]]
            logits = 5.0 * torch.cat([b, extra[kept]]) @ a[i]
            total += F.cross_entropy(logits[None], torch.tensor([i])).item()
    assert loss.item() == pytest.approx(total / 6, abs=1e-5)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(size=0), 'size must be positive, got 0'),
        (dict(warmup=-1), 'number of optimizer steps, got -1'),
        (dict(warmup='soon'), "'auto' or a number of optimizer steps, got 'soon'"),
    ],
)
def test_options_out_of_range_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        NegativeQueue(4, **options)


def test_pairs_of_different_lengths_are_rejected():
    with pytest.raises(ValueError, match='2 queries, 1 keys, 2 ids'):
        NegativeQueue(1).enqueue(torch.zeros(2, 1), torch.zeros(1, 1), torch.zeros(2, dtype=torch.long))
