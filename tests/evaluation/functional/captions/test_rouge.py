import numpy as np
import pytest

from vadlab.evaluation.functional.captions.rouge import rouge_l
from vadlab.utils.errors import DataError

from .random_captions import as_coco, random_corpus


def _f_measure(precision, recall, beta=1.2):
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def test_by_hand_precision_and_recall_from_different_references():
    candidate = ['a', 'man', 'rides', 'a', 'horse']
    # 'man rides horse' is in the first (3 of 5 and of 8); the second is found whole (2 of 2).
    references = [['man', 'with', 'hat', 'rides', 'his', 'brown', 'horse', 'home'], ['a', 'horse']]
    assert rouge_l([candidate], [references])[0] == pytest.approx(_f_measure(3 / 5, 1))


def test_order_matters():
    assert rouge_l([['b', 'a']], [[['a', 'b']]])[0] == pytest.approx(_f_measure(0.5, 0.5))


def test_empty_single_repeated_and_foreign_words():
    reference = [['a', 'a', 'dog']]
    found = rouge_l([[], ['dog'], ['a'] * 50, ['一', '只', '狗']], [reference] * 3 + [[['一', '只', '猫']]])
    expected = [0, _f_measure(1, 1 / 3), _f_measure(2 / 50, 2 / 3), _f_measure(2 / 3, 2 / 3)]
    assert found == pytest.approx(np.array(expected))
    assert rouge_l([['a']], [[[], ['b']]]).tolist() == [0]


def test_captions_longer_than_a_machine_word():
    words = [str(i) for i in range(300)]
    assert rouge_l([words], [[words[::3]]])[0] == pytest.approx(_f_measure(1 / 3, 1))


def _slow_common(one, other):
    table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


def test_equals_the_textbook_table():
    candidates, references = random_corpus(100, seed=2)
    expected = []
    for candidate, captions in zip(candidates, references, strict=True):
        common = [_slow_common(candidate, caption) for caption in captions]
        precision = max(common) / len(candidate)
        recall = max(c / len(caption) for c, caption in zip(common, captions, strict=True))
        expected.append(_f_measure(precision, recall) if precision else 0)
    assert rouge_l(candidates, references) == pytest.approx(np.array(expected))


def test_equals_pycocoevalcap_over_thousands_of_captions():
    scorer = pytest.importorskip('pycocoevalcap.rouge.rouge')
    candidates, references = random_corpus(700)
    expected, each = scorer.Rouge().compute_score(*as_coco(candidates, references))
    found = rouge_l(candidates, references)
    assert found == pytest.approx(each, abs=1e-6)
    assert found.mean() == pytest.approx(expected, abs=1e-6)


def test_text_instead_of_words_is_refused():
    with pytest.raises(DataError, match='is text; give its words'):
        rouge_l(['a dog'], [[['a']]])
