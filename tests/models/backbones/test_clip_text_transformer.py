import pytest
import torch
from torch import nn

from vadlab.models.backbones.clip_text_transformer import CLIPTextTransformer
from vadlab.utils.errors import ConfigError, DataError

TEXTS = [torch.tensor(ids) for ids in ([8, 1, 2, 3, 9], [8, 0, 9], [8, 1, 2, 3, 9], [8, 5, 0, 9], [8, 9])]


def _tower(**options):
    torch.manual_seed(0)
    sizes = dict(vocab_size=10, context_length=30, long_context_length=60, width=16, layers=2, heads=4)
    return CLIPTextTransformer(**(sizes | options))


def _full_length(tower, texts, table):
    """Reference: texts padded to the whole table, encoded one by one, state at the end token."""
    ids = torch.zeros(len(texts), len(table), dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    x = tower.token_embedding(ids) + table
    for block in tower.blocks:
        x = block(x)
    return tower.final_norm(torch.stack([x[i, len(t) - 1] for i, t in enumerate(texts)]))


@pytest.mark.parametrize('long', [False, True])
@pytest.mark.parametrize('with_cp', [False, True])
def test_values_and_gradients_equal_full_length_without_deduplication(long, with_cp):
    plain, tower = _tower(), _tower(with_cp=with_cp)
    table = plain.positional_embedding_long if long else plain.positional_embedding
    expected = _full_length(plain, TEXTS, table)
    ours = tower(TEXTS, long=long)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    weight = torch.linspace(-1, 1, ours.numel()).view_as(ours)
    (ours * weight).sum().backward()
    (expected * weight).sum().backward()
    for (name, p), q in zip(tower.named_parameters(), plain.parameters(), strict=True):
        if p.grad is None:
            assert name == ('positional_embedding' if long else 'positional_embedding_long')
            continue
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f'{n}: {m}')


def test_embeddings_of_words_are_encoded_like_the_words_for_any_padding():
    tower = _tower()
    ids = nn.utils.rnn.pad_sequence(TEXTS, batch_first=True, padding_value=3)
    end = torch.tensor([len(t) - 1 for t in TEXTS])
    torch.testing.assert_close(tower.forward_embeddings(tower.token_embedding(ids), end), tower(TEXTS))


def test_gradients_reach_learnt_vectors_through_a_frozen_tower():
    tower = _tower().requires_grad_(False)
    embeds = torch.randn(1, 4, 16, requires_grad=True)
    tower.forward_embeddings(embeds, torch.tensor([2]))[0, 0].backward()
    assert (embeds.grad[0, :3] != 0).any(1).all()
    assert (embeds.grad[0, 3] == 0).all()


def test_more_embeddings_than_positions_are_rejected():
    with pytest.raises(DataError, match='31 tokens, but the short position table takes at most 30'):
        _tower().forward_embeddings(torch.zeros(1, 31, 16), torch.tensor([30]))


def test_pads_to_the_longest_and_encodes_each_text_once():
    tower = _tower()
    shapes = []
    tower.blocks[0].register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape)))
    tower(TEXTS)
    assert shapes == [(4, 5, 16)]


def test_no_texts_give_no_rows():
    assert _tower()([]).shape == (0, 16)


def test_stretching_keeps_twenty_rows_and_stretches_the_rest_by_four():
    tower = CLIPTextTransformer(vocab_size=10, width=4, layers=1, heads=1)
    short, long = tower.positional_embedding, tower.positional_embedding_long
    assert long.shape == (248, 4)
    torch.testing.assert_close(long[:20], short[:20], rtol=0, atol=0)
    torch.testing.assert_close(long[20::4], short[20:])
    torch.testing.assert_close(long[21], 0.75 * short[20] + 0.25 * short[21])
    torch.testing.assert_close(long[242], 0.5 * short[75] + 0.5 * short[76])
    torch.testing.assert_close(long[247], short[76] + 0.75 * (short[76] - short[75]))


@pytest.mark.parametrize(
    ('texts', 'long', 'error', 'message'),
    [
        ([torch.zeros(31, dtype=torch.long)], False, DataError, r'texts of 31 to 31 tokens, but the short .* 1 to 30'),
        ([torch.zeros(61, dtype=torch.long)], True, DataError, r'the long position table takes 1 to 60'),
        ([torch.zeros(0, dtype=torch.long)], False, DataError, r'texts of 0 to 0 tokens'),
        ([torch.tensor([8, 10])], False, DataError, r'token id 10 is beyond the vocabulary of 10'),
    ],
)
def test_texts_that_do_not_fit_are_rejected(texts, long, error, message):
    with pytest.raises(error, match=message):
        _tower()(texts, long=long)


def test_a_missing_long_table_is_named():
    tower = _tower(long_context_length=None)
    for call in (lambda: tower(TEXTS, long=True), tower.stretch_positions):
        with pytest.raises(ConfigError, match='no long position table; give long_context_length'):
            call()


@pytest.mark.parametrize('sizes', [dict(context_length=21), dict(long_context_length=29)])
def test_a_long_table_must_be_longer(sizes):
    with pytest.raises(ConfigError, match='needs at least as many positions'):
        _tower(**sizes)
