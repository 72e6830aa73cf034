import math
from collections import Counter

import numpy as np
import pytest

from tests.evaluation.functional.captions.random_captions import as_coco, random_corpus
from vadlab.text.cider import CIDErD, cider, cider_d
from vadlab.text.document_frequencies import DocumentFrequencies
from vadlab.utils.errors import DataError


def test_by_hand():
    # Two images; every word but 'a' (in both: idf 0) has idf log 2. For n = 1: red, car against red, bus: 1 / 2.
    # n = 2: 'a red', 'red car' against 'a red', 'red bus': 1 / 2. n = 3: nothing. Same length.
    references = [[['a', 'red', 'bus']], [['a', 'dog']]]
    found = cider_d([['a', 'red', 'car'], ['a', 'dog']], references)
    # The second: n = 1 and n = 2 are perfect, longer ones do not exist.
    assert found == pytest.approx(np.array([10 * (1 / 2 + 1 / 2) / 4, 10 * 2 / 4]))


def test_repeated_words_earn_nothing_in_cider_d_alone():
    references = [[['a', 'red', 'bus', 'stops']], [['dog']]]
    one, many = [['red', 'bus', 'stops'], ['dog']], [['red', 'bus', 'stops', *['bus'] * 9], ['dog']]
    assert cider_d(many, references)[0] < 0.5 * cider_d(one, references)[0]
    once, often = (cider([words, ['dog']], references)[0] for words in (['bus'], ['bus'] * 2))
    assert once == pytest.approx(often)


def test_other_lengths_are_damped_by_a_gaussian():
    references = [[list('abcdef')], [['x']]]
    exact, wide = (cider_d([list('abc'), ['x']], references, sigma=s)[0] for s in (6.0, 1e9))
    assert exact == pytest.approx(wide * math.exp(-9 / 72))


def test_empty_single_unknown_and_foreign_words():
    references = [[['跑', '步']], [['a', 'dog']], [['a']], [['b', 'c']]]
    found = cider_d([['跑', '步'], [], ['a'], ['unknown', 'words']], references)
    assert found == pytest.approx(np.array([5, 0, 2.5, 0]))


def test_one_image_has_no_rare_words():
    assert cider_d([['a', 'dog']], [[['a', 'dog']]]).tolist() == [0]


def _vectors(words, df, images):
    found = []
    for n in range(1, 5):
        counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        found.append({gram: c * (math.log(images) - math.log(max(1, df[gram]))) for gram, c in counts.items()})
    return found


def _slow_cider(candidates, references, clip):
    df = Counter()
    for captions in references:
        df.update({tuple(c[i : i + n]) for c in captions for n in range(1, 5) for i in range(len(c) - n + 1)})
    scores = []
    for candidate, captions in zip(candidates, references, strict=True):
        total = 0
        for caption in captions:
            mine, theirs = (_vectors(words, df, len(references)) for words in (candidate, caption))
            for a, b in zip(mine, theirs, strict=True):
                dot = sum((min(v, b.get(g, 0)) if clip else v) * b.get(g, 0) for g, v in a.items())
                scale = math.hypot(*a.values()) * math.hypot(*b.values())
                longer = max(len(candidate) - 1, 0) - max(len(caption) - 1, 0)
                damping = math.exp(-(longer**2) / 72) if clip else 1
                total += dot / scale * damping if scale else 0
        scores.append(10 * total / 4 / len(captions))
    return np.array(scores)


@pytest.mark.parametrize(('function', 'clip'), [(cider_d, True), (cider, False)])
def test_equals_an_independent_computation(function, clip):
    candidates, references = random_corpus(150, seed=3)
    assert function(candidates, references) == pytest.approx(_slow_cider(candidates, references, clip), abs=1e-9)


def test_cider_d_equals_pycocoevalcap_over_thousands_of_captions():
    scorer = pytest.importorskip('pycocoevalcap.cider.cider')
    candidates, references = random_corpus(700)
    candidates[0], candidates[1] = [], ['dog']
    expected, each = scorer.Cider().compute_score(*as_coco(candidates, references))
    found = cider_d(candidates, references)
    assert found == pytest.approx(each, abs=1e-6)
    assert found.mean() == pytest.approx(expected, abs=1e-6)


def test_rewards_of_several_candidates_of_an_image_from_token_ids():
    candidates, references = random_corpus(60, seed=4)
    numbers = {
        word: i for i, word in enumerate({w for captions in [candidates, *references] for c in captions for w in c})
    }
    references = [[[numbers[word] for word in caption] for caption in captions] for captions in references]
    candidates = [[numbers[word] for word in caption] for caption in candidates]
    df = DocumentFrequencies.from_references(references)
    images = np.repeat([5, 3, 40], 4)
    beams = [candidates[i][: 1 + k] for i in (5, 3, 40) for k in range(4)]
    one_by_one = [cider_d([beam], [references[i]], df)[0] for beam, i in zip(beams, images, strict=True)]
    assert CIDErD(references).score(beams, images) == pytest.approx(one_by_one)
    of_the_batch = CIDErD([references[i] for i in (5, 3, 40)], df)
    assert of_the_batch.score(beams, np.repeat([0, 1, 2], 4)) == pytest.approx(one_by_one)
    assert of_the_batch.score([], []).shape == (0,)


def test_arguments_that_do_not_fit_are_refused():
    references = [[['a']], [['b']]]
    with pytest.raises(DataError, match='3 candidates, but images for 2; .* name the image of each'):
        CIDErD(references).score([['a']] * 3)
    with pytest.raises(DataError, match='numbers from 0 to 1'):
        CIDErD(references).score([['a']], [2])
    with pytest.raises(DataError, match='sigma is 0'):
        CIDErD(references, sigma=0)
    with pytest.raises(DataError, match='up to 4, these end at 2'):
        CIDErD(references, DocumentFrequencies.from_references(references, max_n=2))
    with pytest.raises(DataError, match='is text'):
        CIDErD(references).score(['a', 'b'])
