import pytest
import torch
import torch.nn.functional as F

from vadlab.utils.errors import ConfigError, DataError

from .tiny_captioner import VOCAB, WIDTH, decoder, encoded, row

MEMORY = dict(steps=20, pairs_per_step=8, num_prototypes=3, refresh_every=1, min_pairs=6, neighbours=2)


def _with_memory():
    model = decoder(memory=MEMORY).train()
    model(torch.randint(VOCAB, (4, 5)), encoded())
    for layer in model.layers:
        layer.memory.after_optimizer_step()
        assert layer.memory.is_serving
        torch.nn.init.normal_(layer.memory.own_segment)
    return model.eval()


@pytest.mark.parametrize('build', [decoder, _with_memory])
def test_steps_with_cached_keys_equal_the_full_prefix(build):
    model, images = build(), encoded(3)
    words = torch.randint(VOCAB, (6, 10))
    cache = model.init_cache(images, captions=2)
    for place in range(10):
        whole = model(words[:, : place + 1], images)[:, -1]
        torch.testing.assert_close(model.step(words[:, place], cache), whole, atol=1e-5, rtol=0)


def test_a_layer_equals_the_transformer_written_out():
    model, images = decoder(layers=1), encoded(1)
    words = torch.tensor([[2, 4, 5]])
    layer = model.layers[0]

    def attend(attention, queries, keys, values, causal):
        parts = []
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            logits = attention.query(queries)[:, part] @ attention.key(keys)[:, part].T / 2
            if causal:
                logits = logits.masked_fill(torch.ones_like(logits).triu(1).bool(), -torch.inf)
            parts.append(logits.softmax(-1) @ attention.value(values)[:, part])
        return attention.out(torch.cat(parts, -1))

    def norm(x, layer_norm):
        return F.layer_norm(x, (WIDTH,), layer_norm.weight, layer_norm.bias)

    x = model.word_embedding.weight[words[0]] + model.positional_embedding[:3]
    x = norm(x + attend(layer.self_attention, x, x, x, True), layer.norm1)
    grid = images.grid[0]
    x = norm(x + attend(layer.cross_attention, x, grid + images.positions, grid, False), layer.norm2)
    x = norm(x + layer.ffn(x), layer.norm3)
    expected = (x @ model.classifier.weight.T).log_softmax(-1)
    torch.testing.assert_close(model(words, images)[0], expected, atol=1e-5, rtol=0)


def test_tokens_after_a_caption_do_not_affect_it():
    model, images = decoder(), encoded(1)
    one, other = torch.tensor([[2, 4, 5, 3, 0, 0]]), torch.tensor([[2, 4, 5, 3, 5, 4]])
    torch.testing.assert_close(model(one, images)[:, :4], model(other, images)[:, :4])


def test_images_of_a_batch_are_independent():
    model, images = decoder(), encoded(3)
    words = torch.randint(VOCAB, (6, 4))
    together = model(words, images)
    alone = torch.cat([model(words[2 * i : 2 * i + 2], row(images, i)) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_reordered_rows_continue_their_source_rows():
    model, images = decoder(), encoded(2)
    words = torch.randint(VOCAB, (4, 3))
    cache = model.init_cache(images, captions=2)
    for place in range(3):
        model.step(words[:, place], cache)
    storage = cache.words.data_ptr()
    parents, new = torch.tensor([1, 1, 2, 2]), torch.tensor([4, 5, 4, 5])
    cache.reorder(parents)
    assert cache.words.data_ptr() == storage
    whole = model(torch.cat([words[parents], new[:, None]], 1), images)[:, -1]
    torch.testing.assert_close(model.step(new, cache), whole, atol=1e-5, rtol=0)


def test_keys_of_an_image_are_computed_once_for_all_captions(monkeypatch):
    model, images = decoder(), encoded(2)
    lengths = []
    key = model.layers[0].cross_attention.key
    key.register_forward_hook(lambda module, inputs, output: lengths.append(tuple(inputs[0].shape)))
    cache = model.init_cache(images, captions=5)
    for _ in range(4):
        model.step(torch.full((10,), 2), cache)
    assert lengths == [(2, 9, WIDTH)]


def test_positions_start_from_sines_and_are_learnt():
    model = decoder()
    assert model.positional_embedding.requires_grad
    torch.testing.assert_close(model.positional_embedding[1, 0], torch.tensor(1.0).sin())


def test_limits_are_in_the_messages():
    with pytest.raises(DataError, match='captions of 13 words, but max_len=12'):
        decoder()(torch.zeros(1, 13, dtype=torch.long), encoded(1))
    with pytest.raises(ConfigError, match='up to 13 words, but the decoder has 12'):
        decoder().init_cache(encoded(1), max_len=13)
    with pytest.raises(ConfigError, match='layers=0'):
        decoder(layers=0)
