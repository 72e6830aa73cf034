import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from vadlab.models.captioners.prototypical_memory import PrototypicalMemory, k_means, value_prototypes
from vadlab.models.layers.multi_head_attention import MultiHeadAttention
from vadlab.utils.errors import ConfigError

from .tiny_captioner import decoder, encoded


def _memory(**options):
    settings = dict(width=4, steps=5, pairs_per_step=4, num_prototypes=2, refresh_every=2, min_pairs=6, neighbours=2)
    return PrototypicalMemory(**{**settings, **options})


def _filled(**options):
    memory = _memory(**options)
    torch.manual_seed(0)
    for _ in range(2):
        memory.enqueue(torch.randn(2, 3, 4), torch.randn(2, 3, 4))
        memory.after_optimizer_step()
    assert memory.is_serving
    return memory


def test_k_means_equals_scikit_learn_from_the_same_start():
    torch.manual_seed(0)
    points = torch.randn(200, 3) + 4 * torch.randint(3, (200, 1))
    start = points[:5]
    found, spread = k_means(points, start, 100)
    theirs = KMeans(5, init=start.numpy(), n_init=1, max_iter=100, tol=0, algorithm='lloyd').fit(points.numpy())
    np.testing.assert_allclose(found.numpy(), theirs.cluster_centers_, atol=1e-4)
    distance = np.linalg.norm(points.numpy() - theirs.cluster_centers_[theirs.labels_], axis=1)
    assert spread == pytest.approx(distance.mean(), rel=1e-4)


def test_a_centre_without_points_moves_to_the_farthest_point():
    points = torch.tensor([[0.0], [0.1], [5.0], [9.0]])
    found, _ = k_means(points, torch.tensor([[0.0], [-50.0], [9.0]]), 10)
    assert sorted(found.flatten().tolist()) == pytest.approx([0.05, 5.0, 9.0])


@pytest.mark.parametrize('weighting', ['mean', 'distance'])
def test_value_prototypes_equal_a_loop_over_prototypes(weighting):
    torch.manual_seed(0)
    centres, keys, values = torch.randn(3, 4), torch.randn(20, 4), torch.randn(20, 5)
    found = value_prototypes(centres, keys, values, 6, weighting)
    for number, centre in enumerate(centres):
        distance = (keys - centre).pow(2).sum(1).sqrt()
        nearest = distance.argsort()[:6]
        weight = torch.ones(6) if weighting == 'mean' else (-distance[nearest]).exp()
        torch.testing.assert_close(found[number], (weight / weight.sum()) @ values[nearest])


def test_prototypes_are_additional_keys_with_segment_embeddings():
    memory = _filled().eval()
    torch.nn.init.normal_(memory.own_segment)
    torch.nn.init.normal_(memory.prototype_segment)
    attention = MultiHeadAttention(4, 2).eval()
    query, key, value = (torch.randn(1, 3, 4) for _ in range(3))
    found = memory.attend(attention, *(attention.split(x) for x in (query, key, value)), causal=True)
    keys = torch.cat([key[0] + memory.own_segment, memory.prototype_keys + memory.prototype_segment])
    values = torch.cat([value[0], memory.prototype_values])
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[:, :3] = torch.ones(3, 3).triu(1)
    parts = []
    for h in range(2):
        part = slice(2 * h, 2 * h + 2)
        logits = (query[0][:, part] @ keys[:, part].T / 2**0.5).masked_fill(hidden, -torch.inf)
        parts.append(logits.softmax(-1) @ values[:, part])
    torch.testing.assert_close(found[0], attention.out(torch.cat(parts, -1)), atol=1e-6, rtol=1e-5)


def test_output_changes_only_after_the_first_prototypes():
    options = dict(steps=5, pairs_per_step=4, num_prototypes=2, refresh_every=2, min_pairs=6, neighbours=2)
    plain, model = decoder(), decoder(memory=options)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if 'memory' not in k})
    words, images = torch.randint(6, (2, 5)), encoded(2)
    assert torch.equal(model(words, images), plain(words, images))
    for step in range(2):
        model.train()(words, images)
        for layer in model.layers:
            layer.memory.after_optimizer_step()
        assert torch.equal(model.eval()(words, images), plain(words, images)) == (step == 0)


def test_padding_is_never_kept():
    memory = _memory(pairs_per_step=8, steps=2)
    keys = torch.arange(6.0).view(2, 3, 1).expand(-1, -1, 4)
    memory.enqueue(keys, keys, torch.tensor([[True, True, False], [True, False, False]]))
    assert memory.fill == 3
    assert sorted(memory.bank_keys[:3, 0].tolist()) == [0, 1, 3]
    assert torch.equal(memory.bank_keys, memory.bank_values)


def test_a_decoder_keeps_only_words_of_captions():
    model = decoder(memory=dict(steps=2, pairs_per_step=50, num_prototypes=2, min_pairs=4, neighbours=2)).train()
    is_word = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    model(torch.randint(6, (2, 6)), encoded(2), is_word)
    assert [layer.memory.fill for layer in model.layers] == [10, 10]
    model.eval()(torch.randint(6, (2, 6)), encoded(2), is_word)
    assert [layer.memory.num_enqueued for layer in model.layers] == [10, 10], 'testing must not fill the banks'


def test_banks_hold_the_last_steps_and_one_batch_per_step():
    memory = _memory(steps=3, pairs_per_step=2, refresh_every=100, min_pairs=4)
    for step in range(5):
        for _ in range(2):
            memory.enqueue(torch.full((1, 4, 4), float(step)), torch.zeros(1, 4, 4))
        memory.after_optimizer_step()
    assert sorted(memory.bank_keys[:, 0].tolist()) == [2, 2, 3, 3, 4, 4]


def test_log_tells_when_prototypes_start_and_when_they_never_do(log):
    memory = _memory(name='memory 1', refresh_every=2, pairs_per_step=2, steps=20)
    memory.before_train(100)
    assert log.messages == [
        'memory 1: 0 of 40 pairs in the banks, no prototypes yet; the first come at optimizer step 2 or later.'
    ]
    for _ in range(4):
        memory.enqueue(torch.randn(1, 3, 4), torch.randn(1, 3, 4))
        memory.after_optimizer_step()
    assert log.messages[1] == 'memory 1: 4 pairs after optimizer step 2, 6 are needed: no prototypes yet.'
    assert log.messages[2].startswith(
        'memory 1: 2 prototypes of 8 pairs at optimizer step 4, the first: it serves from now on'
    )
    memory.before_train(100)
    assert log.messages[3] == 'memory 1: 8 of 40 pairs in the banks, 2 prototypes in use, computed 1 times.'
    _memory(name='memory 2', refresh_every=50).before_train(40)
    assert log.messages[-1].startswith('memory 2: this run has 40 optimizer steps, so it never has prototypes')


def test_a_run_without_the_hook_gets_a_warning(log):
    memory = _memory(name='memory 1')
    for _ in range(256):
        memory.enqueue(torch.randn(1, 1, 4), torch.randn(1, 1, 4))
    assert len(log.messages) == 1
    assert 'never any prototypes' in log.messages[0]


def test_state_survives_a_checkpoint():
    memory, other = _filled(), _memory()
    other.load_state_dict(memory.state_dict())
    assert other.is_serving
    assert (other.num_enqueued, other.num_steps, other.num_refreshes) == (8, 2, 1)
    assert torch.equal(other.prototype_values, memory.prototype_values)
    for one in (memory, other):
        torch.manual_seed(1)
        for _ in range(2):
            one.enqueue(torch.randn(1, 4, 4), torch.randn(1, 4, 4))
            one.after_optimizer_step()
    assert torch.equal(other.prototype_keys, memory.prototype_keys)
    assert memory.num_refreshes == 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(steps=0), 'steps=0'),
        (dict(weighting='median'), "weighting='median'"),
        (dict(min_pairs=21), 'must hold min_pairs=21'),
        (dict(num_prototypes=7), 'num_prototypes=7'),
        (dict(neighbours=7), 'neighbours=7'),
    ],
)
def test_impossible_settings_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        _memory(**options)
