import numpy as np
import pytest

from tests.evaluation.functional.captions.random_captions import random_corpus
from vadlab.text.cider import cider_d
from vadlab.text.document_frequencies import DocumentFrequencies
from vadlab.text.ngrams import count_ngrams, number_words
from vadlab.utils.errors import DataError, MissingFileError

REFERENCES = [[['a', 'dog', 'a', 'dog'], ['a', 'dog', 'runs']], [['a', 'cat', 'runs']]]


def _frequency(df, *words):
    numbers_of_words, lengths, numbers = number_words([words])
    return df.of(count_ngrams(numbers_of_words, lengths, len(numbers), 4), list(numbers))[len(words) - 1][-1]


def test_by_hand_each_image_counts_once():
    df = DocumentFrequencies.from_references(REFERENCES)
    assert (df.num_images, df.max_n) == (2, 4)
    assert _frequency(df, 'a') == 2
    assert _frequency(df, 'runs') == 2
    assert _frequency(df, 'a', 'dog') == 1
    assert _frequency(df, 'dog', 'a', 'dog') == 1
    # Known words in a new order, a new word at the start, and one at the end.
    assert _frequency(df, 'runs', 'a') == 0
    assert _frequency(df, 'blue', 'dog') == 0
    assert _frequency(df, 'a', 'dog', 'sleeps') == 0


@pytest.mark.parametrize('kind', ['words', 'ids'])
def test_a_saved_file_gives_the_same_scores(tmp_path, kind):
    candidates, references = random_corpus(50, seed=5)
    if kind == 'ids':
        numbers = number_words([*candidates, *(c for captions in references for c in captions)])[2]
        references = [[[numbers[word] for word in caption] for caption in captions] for captions in references]
        candidates = [[numbers[word] for word in caption] for caption in candidates]
    df = DocumentFrequencies.from_references(references)
    df.save(tmp_path / 'new' / 'df.npz')
    loaded = DocumentFrequencies.load(tmp_path / 'new' / 'df.npz')
    assert loaded.words == df.words
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['df.npz']
    few = slice(0, 7)  # of a part of the images, so that the frequencies are not those of the references
    expected = cider_d(candidates, references)[few]
    assert cider_d(candidates[few], references[few], loaded) == pytest.approx(expected)


def test_captions_without_words_and_short_ones_have_no_long_ngrams():
    df = DocumentFrequencies.from_references([[[]], [['a']]])
    assert [len(keys) for keys in df.keys] == [1, 0, 0, 0]
    assert cider_d([['b', 'c', 'd'], ['a']], [[['b', 'c', 'd']], [['a']]], df) == pytest.approx(np.array([7.5, 2.5]))


def test_files_that_hold_something_else(tmp_path):
    with pytest.raises(MissingFileError, match='df.npz: there is no such file'):
        DocumentFrequencies.load(tmp_path / 'df.npz')
    (tmp_path / 'df.npz').write_text('no archive')
    with pytest.raises(DataError, match='does not contain document frequencies'):
        DocumentFrequencies.load(tmp_path / 'df.npz')
    np.savez(tmp_path / 'other.npz', numbers=np.zeros(3))
    with pytest.raises(DataError, match='does not contain document frequencies'):
        DocumentFrequencies.load(tmp_path / 'other.npz')
    np.savez(tmp_path / 'objects.npz', words=np.array([{}], dtype=object), num_images=1)
    with pytest.raises(DataError, match='does not contain document frequencies'):
        DocumentFrequencies.load(tmp_path / 'objects.npz')
    with pytest.raises(DataError, match='neither text nor token ids'):
        DocumentFrequencies.from_references([[[('a', 1)]]]).save(tmp_path / 'tuples.npz')
