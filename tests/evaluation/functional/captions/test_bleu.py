import math

import numpy as np
import pytest

from vadlab.evaluation.functional.captions.bleu import bleu
from vadlab.utils.errors import DataError

from .random_captions import as_coco, random_corpus


def test_by_hand_with_clipping_over_the_best_reference():
    # 'the' is there 7 times and at most 2 times in a reference; no pair of words matches.
    candidate = ['the'] * 7
    references = [['the', 'cat', 'is', 'on', 'the', 'mat', 'now'], ['there', 'is', 'a', 'cat']]
    found = bleu([candidate], [references])
    assert found[0] == pytest.approx(2 / 7)
    assert found[1:] == pytest.approx(np.zeros(3), abs=1e-3)


def test_brevity_penalty_takes_the_closest_length_the_shorter_of_two():
    words = list('abcdefgh')
    # 4 words; of 2 and 6, equally close, 2 counts: no penalty. Of 5 and 8, 5 counts.
    assert bleu([words[:4]], [[words[:6], words[:2]]], max_n=1)[0] == pytest.approx(1)
    assert bleu([words[:4]], [[words[:8], words[:5]]], max_n=1)[0] == pytest.approx(math.exp(1 - 5 / 4))


def test_counts_are_summed_over_the_corpus_before_dividing():
    # 1 of 1 and 1 of 3 words: 2 / 4, not the mean 2 / 3.
    found = bleu([['a'], ['b', 'x', 'y']], [[['a']], [['b', 'c', 'd']]], max_n=1)
    assert found[0] == pytest.approx(2 / 4)


def test_same_captions_are_1_and_words_may_be_ids():
    assert bleu([[7, 8, 9, 10, 11]], [[[7, 8, 9, 10, 11], [1]]]) == pytest.approx(np.ones(4))


@pytest.mark.parametrize('candidate', [[], ['a'], ['跑', '步']])
def test_empty_short_and_foreign_candidates_are_numbers(candidate):
    found = bleu([candidate, list('abcd')], [[list('abcd')], [list('abcd')]])
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert bleu([[]], [[['a']]]) == pytest.approx(np.zeros(4))


def _slow_bleu(candidates, references, n):
    """Papineni's formula, image by image, for n-grams of one length."""
    matches = total = length = closest = 0
    for candidate, captions in zip(candidates, references, strict=True):
        grams = [[tuple(c[i : i + n]) for i in range(len(c) - n + 1)] for c in [candidate, *captions]]
        for gram in set(grams[0]):
            matches += min(grams[0].count(gram), max(g.count(gram) for g in grams[1:]))
        total += len(grams[0])
        length += len(candidate)
        closest += min((abs(len(c) - len(candidate)), len(c)) for c in captions)[1]
    return matches / total, min(1, math.exp(1 - closest / length))


def test_equals_an_independent_computation():
    candidates, references = random_corpus(200, seed=1)
    parts = [_slow_bleu(candidates, references, n) for n in range(1, 5)]
    expected = [
        penalty * math.prod(p for p, _ in parts[: n + 1]) ** (1 / (n + 1)) for n, (_, penalty) in enumerate(parts)
    ]
    assert bleu(candidates, references) == pytest.approx(np.array(expected), abs=1e-8)


def test_equals_pycocoevalcap_over_thousands_of_captions():
    scorer = pytest.importorskip('pycocoevalcap.bleu.bleu')
    candidates, references = random_corpus(700)
    expected, _ = scorer.Bleu(4).compute_score(*as_coco(candidates, references), verbose=0)
    assert bleu(candidates, references) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize(
    ('candidates', 'references', 'message'),
    [
        ([['a']], [], '1 candidates for 0 lists'),
        ([], [], 'no references'),
        ([['a'], ['b']], [[['a']], []], r'Image 1 has no list of references: \[\]'),
        (['a dog'], [[['a']]], "'a dog' is text"),
        ([['a']], [['a dog']], "'a dog' is text"),
        ([['a']], ['a dog'], "Image 0 has no list of references: 'a dog'"),
    ],
)
def test_what_is_no_corpus_is_refused(candidates, references, message):
    with pytest.raises(DataError, match=message):
        bleu(candidates, references)
