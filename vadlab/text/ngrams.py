"""Counting the n-grams of many sentences at once."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class NGramCounts:
    """How often each n-gram of one length is in each sentence; M entries (sentence, n-gram), K different n-grams.

    Attributes:
        sentences (np.ndarray): Sentence of each entry, int64, shape (M,), ascending.
        ngrams (np.ndarray): N-gram of each entry, int64, shape (M,), ascending within a sentence.
        counts (np.ndarray): How often it is there, int64, shape (M,).
        prefixes (np.ndarray): Number that an n-gram without its last word has among those of length n - 1, int64,
            shape (K,); zeros for n = 1.
        lasts (np.ndarray): Number of its last word, int64, shape (K,).
        num_sentences (int): Those without an n-gram included.
    """

    sentences: np.ndarray
    ngrams: np.ndarray
    counts: np.ndarray
    prefixes: np.ndarray
    lasts: np.ndarray
    num_sentences: int

    @property
    def size(self) -> int:
        """K, the number of different n-grams."""
        return len(self.lasts)

    def sum_by_sentence(self, values: np.ndarray) -> np.ndarray:
        """Sum of one value for each entry, by sentence, float64, shape (number of sentences,)."""
        return sums(self.sentences, values, self.num_sentences)


def number_words(sentences: Iterable[Sequence[Hashable]]) -> tuple[np.ndarray, np.ndarray, dict[Hashable, int]]:
    """Words as numbers.

    Returns:
        tuple: The numbers of all sentences one after the other, int64, shape (sum of L,); each sentence's length,
        int64, shape (S,); and the number of each word, 0 to V - 1 in order of appearance.
    """
    sentences = list(sentences)
    numbers: dict[Hashable, int] = {}
    flat = [numbers.setdefault(word, len(numbers)) for word in chain.from_iterable(sentences)]
    return np.array(flat, dtype=np.int64), np.array([len(s) for s in sentences], dtype=np.int64), numbers


def count_ngrams(words: np.ndarray, lengths: np.ndarray, vocabulary: int, max_n: int) -> list[NGramCounts]:
    """Counts of the n-grams of n = 1 .. ``max_n``.

    Args:
        words (np.ndarray): Numbers of words, all sentences one after the other, int64, shape (sum of L,).
        lengths (np.ndarray): Words of each sentence, int64, shape (S,).
        vocabulary (int): Numbers are below this.
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
    """Where each wanted number stands among ascending ``keys``, and whether it is there at all: both shape (W,)."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


def sums(groups: np.ndarray, values: np.ndarray, num_groups: int) -> np.ndarray:
    """Sum of the values of each group, float64, shape (num_groups,)."""
    # Of nothing, bincount makes whole numbers.
    return np.bincount(groups, weights=values, minlength=num_groups).astype(np.float64, copy=False)
