"""BLEU for captions."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from vadlab.text.corpus import Caption, check_corpus
from vadlab.text.ngrams import count_ngrams, find, number_words

# From the COCO evaluation: they avoid division by zero; a corpus without any match of some length scores near 0.
_TINY, _SMALL = 1e-15, 1e-9


def bleu(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]], max_n: int = 4) -> np.ndarray:
    """BLEU-1 to BLEU-``max_n`` of a corpus.

    Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (ACL 2002): the geometric mean of
    the n-gram precisions, times the brevity penalty. An n-gram counts at most as often as in the reference that has it
    most often. Matches, n-grams and lengths are summed over the corpus before dividing. The reference length is the one
    closest to the candidate's (the shorter one if two are equally close). Equals the COCO evaluation's BLEU.

    Args:
        candidates (Sequence[Caption]): Words of one caption per image.
        references (Sequence[Sequence[Caption]]): Words of each image's references, at least one.
        max_n (int): Longest n-grams, >= 1.

    Returns:
        np.ndarray: 0..1, float64, shape (max_n,).

    Raises:
        DataError: See :func:`check_corpus`.

    Example:
        >>> bleu([['a', 'red', 'car']], [[['a', 'red', 'bus'], ['a', 'car']]], max_n=2).round(4).tolist()
        [1.0, 0.7071]
    """
    check_corpus(candidates, references)
    words, lengths, numbers = number_words(chain(candidates, chain.from_iterable(references)))
    num_images = len(candidates)
    image_of = np.repeat(np.arange(num_images), [len(captions) for captions in references])
    precisions = np.empty(max_n)
    for index, counts in enumerate(count_ngrams(words, lengths, len(numbers), max_n)):
        size = max(counts.size, 1)
        mine = counts.sentences < num_images
        keys = counts.sentences[mine] * size + counts.ngrams[mine]
        wanted = image_of[counts.sentences[~mine] - num_images] * size + counts.ngrams[~mine]
        place, hit = find(keys, wanted)
        most = np.zeros(len(keys), dtype=np.int64)
        np.maximum.at(most, place[hit], counts.counts[~mine][hit])
        matches, total = np.minimum(counts.counts[mine], most).sum(), counts.counts[mine].sum()
        precisions[index] = (matches + _TINY) / (total + _SMALL)
    means = np.exp(np.cumsum(np.log(precisions)) / np.arange(1, max_n + 1))
    closest = _closest_lengths(lengths[:num_images], lengths[num_images:], image_of)
    ratio = (lengths[:num_images].sum() + _TINY) / (closest.sum() + _SMALL)
    return means * np.exp(min(0.0, 1 - 1 / ratio))


def _closest_lengths(candidates: np.ndarray, references: np.ndarray, image_of: np.ndarray) -> np.ndarray:
    """Per image, the reference length closest to the candidate's, int64, shape (images,)."""
    base = references.max() + 1
    # One number per reference: the difference, then the length.
    distance = np.abs(references - candidates[image_of]) * base + references
    starts = np.flatnonzero(np.diff(image_of, prepend=-1))
    return np.minimum.reduceat(distance, starts) % base
