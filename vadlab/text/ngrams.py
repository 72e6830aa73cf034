"""Counting the n-grams of many sentences at once."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class NGramCounts:
    """Counts of the n-grams of one length per sentence: M entries (sentence, n-gram), K distinct n-grams.

    Attributes:
        sentences (np.ndarray): Sentence of each entry, int64, shape (M,), ascending.
        ngrams (np.ndarray): N-gram of each entry, int64, shape (M,), ascending within a sentence.
        counts (np.ndarray): Count of each entry, int64, shape (M,).
        prefixes (np.ndarray): Number of each n-gram's prefix (all but the last word) among the n-grams of length n - 1,
            int64, shape (K,); zeros for n = 1.
        lasts (np.ndarray): Number of each n-gram's last word, int64, shape (K,).
        num_sentences (int): Number of sentences, including those without an n-gram.
    """

    sentences: np.ndarray
    ngrams: np.ndarray
    counts: np.ndarray
    prefixes: np.ndarray
    lasts: np.ndarray
    num_sentences: int

    @property
    def size(self) -> int:
        """K, the number of distinct n-grams."""
        return len(self.lasts)

    def sum_by_sentence(self, values: np.ndarray) -> np.ndarray:
        """Sums per sentence of one value per entry, float64, shape (number of sentences,)."""
        return sums(self.sentences, values, self.num_sentences)


def number_words(sentences: Iterable[Sequence[Hashable]]) -> tuple[np.ndarray, np.ndarray, dict[Hashable, int]]:
    """Numbers for the words of sentences.

    Returns:
        tuple: The numbers of all sentences, concatenated, int64, shape (sum of L,); each sentence's length, int64,
            shape (S,); and the number of each word, 0 to V - 1 in order of appearance.
    """
    sentences = list(sentences)
    numbers: dict[Hashable, int] = {}
    flat = [numbers.setdefault(word, len(numbers)) for word in chain.from_iterable(sentences)]
    return np.array(flat, dtype=np.int64), np.array([len(s) for s in sentences], dtype=np.int64), numbers


def count_ngrams(words: np.ndarray, lengths: np.ndarray, vocabulary: int, max_n: int) -> list[NGramCounts]:
    """Counts of n-grams for n = 1 .. ``max_n``.

    Args:
        words (np.ndarray): Numbers of the words of all sentences, concatenated, int64, shape (sum of L,).
        lengths (np.ndarray): Number of words per sentence, int64, shape (S,).
        vocabulary (int): Size of the vocabulary; numbers are below it.
        max_n (int): Longest n-gram, >= 1.
    """
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from here to the sentence's end
    starts = np.arange(len(words))
    grams, prefixes, lasts = words, np.zeros(vocabulary, dtype=np.int64), np.arange(vocabulary)
    found = []
    for n in range(1, max_n + 1):
        if n > 1:
            fits = left[starts] >= n
            starts = starts[fits]
            keys, grams = np.unique(grams[fits] * vocabulary + words[starts + n - 1], return_inverse=True)
            prefixes, lasts = keys // max(vocabulary, 1), keys % max(vocabulary, 1)
        size = max(len(lasts), 1)
        keys, counts = np.unique(sentence_of[starts] * size + grams, return_counts=True)
        found.append(NGramCounts(keys // size, keys % size, counts, prefixes, lasts, len(lengths)))
    return found


def find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each wanted number in ascending ``keys``, and whether it is in them: both shape (W,)."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


def sums(groups: np.ndarray, values: np.ndarray, num_groups: int) -> np.ndarray:
    """Sums of values per group, float64, shape (num_groups,)."""
    # For empty input, bincount returns integers.
    return np.bincount(groups, weights=values, minlength=num_groups).astype(np.float64, copy=False)
