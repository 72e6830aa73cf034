from itertools import product

import pytest
import torch

from vadlab.models.captioners.decoding import (
    BOS,
    EOS,
    PAD,
    beam_search,
    check_decoding,
    greedy_search,
    nucleus_sample,
    search,
    words_of,
)
from vadlab.utils.errors import ConfigError

from .tiny_captioner import VOCAB, decoder, encoded, row

WORDS = range(4, VOCAB)


def _score(model, images, caption):
    """Log-probability of a caption from the decoder without a cache."""
    with torch.no_grad():
        log_probs = model(torch.tensor([[BOS, *caption[:-1]]]), images)[0]
    return float(log_probs.gather(1, torch.tensor(caption)[:, None]).sum())


def _all_captions(max_len):
    """All possible captions: words and an end, or ``max_len`` words."""
    for length in range(max_len + 1):
        for words in product(WORDS, repeat=length):
            yield [*words, EOS] if length < max_len else list(words)


def _padded(caption, max_len):
    return caption + [PAD] * (max_len - len(caption))


@pytest.mark.parametrize('seed', range(5))
def test_a_wide_beam_equals_brute_force_over_all_captions(seed):
    model, images = decoder(seed=seed), encoded(2, seed)
    found = beam_search(model, images, beam_size=16, max_len=4, return_all=True)
    for number in range(2):
        one = row(images, number)
        ranked = sorted(((_score(model, one, c), c) for c in _all_captions(4)), reverse=True)
        for place in range(10):
            score, caption = ranked[place]
            assert found.tokens[number, place].tolist() == _padded(caption, 4)
            assert float(found.scores[number, place]) == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize('seed', range(5))
def test_a_narrow_beam_equals_a_search_with_python_lists(seed):
    model, images = decoder(vocab_size=12, seed=seed), encoded(1, seed)
    beams = [(0.0, [])]
    for _ in range(6):
        candidates = []
        for score, words in beams:
            if words and words[-1] == EOS:
                candidates.append((score, words))
                continue
            for word in (EOS, *range(4, 12)):
                candidates.append((_score(model, images, [*words, word]), [*words, word]))
        beams = sorted(candidates, reverse=True)[:3]
    found = beam_search(model, images, beam_size=3, max_len=6, return_all=True)
    assert found.tokens[0].tolist() == [_padded(words, 6) for _, words in beams]
    torch.testing.assert_close(found.scores[0], torch.tensor([score for score, _ in beams]), atol=1e-5, rtol=0)


def test_greedy_equals_a_loop_and_a_beam_of_one():
    model, images = decoder(vocab_size=12), encoded(3)
    found = greedy_search(model, images, max_len=7)
    for number in range(3):
        words = [BOS]
        while len(words) < 8 and words[-1] != EOS:
            log_probs = model(torch.tensor([words]), row(images, number))[0, -1].clone()
            log_probs[:3] = -torch.inf
            words.append(int(log_probs.argmax()))
        assert found.tokens[number].tolist() == _padded(words[1:], 7)
    one = beam_search(model, images, beam_size=1, max_len=7)
    assert torch.equal(found.tokens, one.tokens)
    assert torch.equal(found.scores, one.scores)


def test_images_are_searched_independently():
    model, images = decoder(vocab_size=12), encoded(4)
    together = beam_search(model, images, max_len=6)
    for number in range(4):
        alone = beam_search(model, row(images, number), max_len=6)
        assert torch.equal(together.tokens[number], alone.tokens[0])
        torch.testing.assert_close(together.scores[number], alone.scores[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize('find', [greedy_search, beam_search, nucleus_sample])
def test_search_stops_when_every_caption_has_ended(find):
    model = decoder()
    asked = []

    def step(words, cache):
        asked.append(len(words))
        other, word = (-900.0, EOS) if len(asked) > 2 else (-30.0, 5)
        return torch.full((len(words), VOCAB), other).index_fill(1, torch.tensor([word]), 0.0)

    model.step = step
    found = find(model, encoded(2), max_len=12, **({} if find is greedy_search else dict(return_all=True)))
    assert len(asked) == 3
    assert found.tokens.view(2, -1, 12)[:, 0, :4].tolist() == [[5, 5, EOS, PAD]] * 2


def test_search_for_the_best_caption_stops_when_it_cannot_change():
    model, images = decoder(vocab_size=12), encoded(3)
    asked, step = [], model.step
    model.step = lambda words, cache: asked.append(len(words)) or step(words, cache)
    every = beam_search(model, images, max_len=12, return_all=True)
    steps_for_all = len(asked)
    best = beam_search(model, images, max_len=12)
    assert len(asked) - steps_for_all < steps_for_all
    assert torch.equal(best.tokens, every.tokens[:, 0])
    assert torch.equal(best.scores, every.scores[:, 0])


def test_finished_captions_keep_their_score():
    model = decoder()
    chances = torch.tensor([[0, 0, 0, 0.6, 0.3, 0.1]]).log()
    model.step = lambda words, cache: chances.expand(len(words), -1)
    found = beam_search(model, encoded(1), beam_size=2, max_len=3, return_all=True)
    assert found.tokens[0].tolist() == [[EOS, PAD, PAD], [4, EOS, PAD]]
    torch.testing.assert_close(found.scores[0].exp(), torch.tensor([0.6, 0.18]))


def test_length_penalty_changes_the_ranking_but_not_the_scores():
    model = decoder()
    chances = torch.tensor([[0, 0, 0, 0.45, 0.5, 0.05]]).log()
    model.step = lambda words, cache: chances.expand(len(words), -1)
    plain = beam_search(model, encoded(1), beam_size=3, max_len=3, return_all=True)
    found = beam_search(model, encoded(1), beam_size=3, max_len=3, length_penalty=1.0, return_all=True)
    assert plain.tokens[0, 0].tolist() == [EOS, PAD, PAD]
    ratio = plain.scores[0] / (plain.tokens[0] != PAD).sum(-1)
    order = ratio.argsort(descending=True)
    assert found.tokens[0].tolist() == plain.tokens[0][order].tolist()
    assert found.tokens[0, 0].tolist() != plain.tokens[0, 0].tolist()
    assert torch.equal(found.scores[0], plain.scores[0][order])


@pytest.mark.parametrize(
    ('top_p', 'nucleus'),
    [(0.5, {5}), (0.51, {5, 7}), (0.79, {5, 7}), (0.81, {5, 7, 3}), (1, {3, 4, 5, 6, 7})],
)
def test_nucleus_draws_from_the_fewest_words_that_reach_top_p(top_p, nucleus):
    chances = torch.tensor([[0, 0, 0, 0.1, 0.06, 0.5, 0.04, 0.3]]).log()
    model = decoder(vocab_size=8)
    model.step = lambda words, cache: chances.expand(len(words), -1)
    found = nucleus_sample(model, encoded(1), top_p=top_p, max_len=1, samples=2000, seed=3, return_all=True)
    drawn = found.tokens.flatten()
    assert set(drawn.tolist()) == nucleus
    total = float(chances.exp()[0, sorted(nucleus)].sum())
    assert float((drawn == 5).float().mean()) == pytest.approx(0.5 / total, abs=0.05)
    torch.testing.assert_close(found.scores.flatten(), chances[0, drawn])


def test_temperature_sharpens_and_the_seed_repeats():
    model, images = decoder(vocab_size=12), encoded(2)
    one, same = (nucleus_sample(model, images, max_len=8, seed=7, return_all=True, samples=3) for _ in range(2))
    assert torch.equal(one.tokens, same.tokens)
    assert not torch.equal(
        one.tokens, nucleus_sample(model, images, max_len=8, seed=8, samples=3, return_all=True).tokens
    )
    generator = torch.Generator().manual_seed(7)
    drawn = nucleus_sample(model, images, max_len=8, generator=generator, samples=3, return_all=True)
    assert torch.equal(one.tokens, drawn.tokens)
    cold = nucleus_sample(model, images, temperature=1e-4, max_len=8)
    assert torch.equal(cold.tokens, greedy_search(model, images, max_len=8).tokens)
    scores = torch.tensor([_score(model, row(images, i), words_and_end(cold.tokens[i])) for i in range(2)])
    torch.testing.assert_close(cold.scores, scores, atol=1e-5, rtol=0)


def words_and_end(tokens):
    return [word for word in tokens.tolist() if word != PAD]


def test_special_tokens_are_never_generated():
    model = decoder()
    model.step = lambda words, cache: torch.tensor([[0.3, 0.3, 0.3, 1e-9, 0.06, 0.04]]).log().expand(len(words), -1)
    for find in (greedy_search, beam_search, nucleus_sample):
        written = set(find(model, encoded(3), max_len=4).tokens.flatten().tolist())
        assert written <= {PAD, EOS, 4, 5}
        assert written & {4, 5}


def test_consecutive_repeated_words_are_removed():
    tokens = [4, 4, 5, 5, 5, 4, EOS, PAD, PAD]
    assert words_of(tokens) == [4, 4, 5, 5, 5, 4]
    assert words_of(tokens, remove_repeats=True) == [4, 5, 4]
    assert words_of([4, 5]) == [4, 5]
    assert words_of([EOS, PAD]) == []


def test_decoding_of_a_config_is_checked():
    assert check_decoding({}) == dict(method='beam', beam_size=5, max_len=20, length_penalty=0.0)
    model, images = decoder(vocab_size=12), encoded(2)
    chosen = check_decoding(dict(method='beam', beam_size=2, max_len=5))
    assert torch.equal(search(model, images, chosen).tokens, beam_search(model, images, 2, 5).tokens)
    with pytest.raises(ConfigError, match="no method 'beams'. Did you mean 'beam'"):
        check_decoding(dict(method='beams'))
    with pytest.raises(ConfigError, match="greedy takes no 'beam_size'"):
        check_decoding(dict(method='greedy', beam_size=3))
    with pytest.raises(ConfigError, match="beam takes no 'beamsize'. Did you mean 'beam_size'"):
        check_decoding(dict(beamsize=3))


@pytest.mark.parametrize(
    ('find', 'options', 'message'),
    [
        (beam_search, dict(beam_size=0), 'beam_size=0'),
        (greedy_search, dict(max_len=0), 'max_len=0'),
        (nucleus_sample, dict(top_p=0.0), 'top_p=0.0'),
        (nucleus_sample, dict(top_p=1.5), 'top_p=1.5'),
        (nucleus_sample, dict(temperature=0.0), 'temperature=0.0'),
        (nucleus_sample, dict(seed=1, generator=torch.Generator()), 'not both'),
    ],
)
def test_arguments_out_of_range_are_rejected(find, options, message):
    with pytest.raises(ConfigError, match=message):
        find(decoder(), encoded(1), **options)
