"""CIDEr and CIDEr-D of captions; self-critical training uses the scorer for its rewards."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from vadlab.utils.errors import DataError

from .corpus import Caption, check_captions, check_corpus, check_references
from .document_frequencies import DocumentFrequencies
from .ngrams import count_ngrams, find, number_words, sums

MAX_N = 4


def cider(
    candidates: Sequence[Caption],
    references: Sequence[Sequence[Caption]],
    df: DocumentFrequencies | None = None,
) -> np.ndarray:
    """Original CIDEr per image: mean cosine of tf-idf vectors, over references and n = 1 .. 4, times 10.

    Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (CVPR 2015, arXiv 1411.5726), equations 2
    and 3. Words are not stemmed, as in the authors' code. Most papers report :func:`cider_d`.

    Args:
        candidates (Sequence[Caption]): Words of one caption per image.
        references (Sequence[Sequence[Caption]]): Words of each image's references, at least one.
        df (DocumentFrequencies | None): None computes them from the references. With a single image all frequencies
            are trivial, and the score is 0.

    Returns:
        np.ndarray: 0..10, float64, shape (images,).

    Raises:
        DataError: See :func:`check_corpus`.
    """
    check_corpus(candidates, references)
    return CIDErD(references, df, sigma=None).score(candidates)


def cider_d(
    candidates: Sequence[Caption],
    references: Sequence[Sequence[Caption]],
    df: DocumentFrequencies | None = None,
    sigma: float = 6.0,
) -> np.ndarray:
    """CIDEr-D per image, see :class:`CIDErD`; arguments, result and errors are those of :func:`cider`."""
    check_corpus(candidates, references)
    return CIDErD(references, df, sigma).score(candidates)


class CIDErD:
    """CIDEr-D scorer with fixed references, for repeated use (Vedantam et al. 2015, section 5).

    Two changes to CIDEr: an n-gram counts at most as often as in the reference, so repeating words earns nothing, and
    each reference's term is damped by a Gaussian of the difference in length. Equals what the COCO evaluation calls
    CIDEr. As there, the length is the number of word pairs, so captions of zero and one word have equal length.

    Words may be text or token ids. If captions end with an end token, references and candidates must both have it; a
    reward without it does not penalise sentences that stop in the middle, and inflates the score.

    Args:
        references (Sequence[Sequence[Caption]]): Words of each image's references, at least one.
        df (DocumentFrequencies | None): None computes them from ``references``; for a reward, give those of the
            training captions.
        sigma (float | None): Width of the Gaussian, > 0. None gives the original CIDEr, without both changes.

    Raises:
        DataError: See :func:`check_references`.

    Example:
        >>> scorer = CIDErD([[[5, 6, 7]], [[5, 8]]])
        >>> scorer.score([[5, 6, 7], [5, 9], [5, 6]], images=[0, 1, 0]).round(3).tolist()
        [7.5, 0.0, 3.487]
    """

    def __init__(
        self,
        references: Sequence[Sequence[Caption]],
        df: DocumentFrequencies | None = None,
        sigma: float | None = 6.0,
    ) -> None:
        check_references(references)
        if sigma is not None and sigma <= 0:
            raise DataError(f'sigma is {sigma}; a number above 0 is needed')
        if df is not None and df.max_n < MAX_N:
            raise DataError(f'CIDEr needs document frequencies of n-grams up to {MAX_N}, these end at {df.max_n}')
        self.references = references
        self.df = df or DocumentFrequencies.from_references(references, MAX_N)
        self.sigma = sigma

    def score(self, candidates: Sequence[Caption], images: Sequence[int] | None = None) -> np.ndarray:
        """Scores of candidates, any number per image.

        Args:
            candidates (Sequence[Caption]): Words of captions.
            images (Sequence[int] | None): Image index of each candidate; None for one candidate per image, in order.

        Returns:
            np.ndarray: 0..10, float64, shape (candidates,).

        Raises:
            DataError: ``images`` does not match, or a caption is text.
        """
        check_captions(candidates)
        image_of_candidate = np.arange(len(self.references)) if images is None else np.asarray(images, dtype=np.int64)
        if image_of_candidate.shape != (len(candidates),):
            raise DataError(
                f'There are {len(candidates)} candidates, but images for {len(image_of_candidate)}; '
                'with several candidates of an image, name the image of each by images='
            )
        if not len(candidates):
            return np.zeros(0)
        if image_of_candidate.min() < 0 or image_of_candidate.max() >= len(self.references):
            raise DataError(f'images must be numbers from 0 to {len(self.references) - 1}')
        return self._score(candidates, image_of_candidate)

    def _score(self, candidates: Sequence[Caption], image_of_candidate: np.ndarray) -> np.ndarray:
        images, place_of_candidate = np.unique(image_of_candidate, return_inverse=True)
        references = [self.references[image] for image in images]
        words, lengths, numbers = number_words(chain(candidates, chain.from_iterable(references)))
        levels = count_ngrams(words, lengths, len(numbers), MAX_N)
        num_references = np.array([len(captions) for captions in references])
        first_reference = len(candidates) + np.cumsum(num_references) - num_references
        frequencies = self.df.of(levels, list(numbers))

        # Pairs of a candidate (caption number c) and a reference (caption number r).
        repeats = num_references[place_of_candidate]
        pair_c = np.repeat(np.arange(len(candidates)), repeats)
        pair_r = _runs(first_reference[place_of_candidate], repeats)
        similarity = np.zeros(len(pair_c))
        for level, frequency in zip(levels, frequencies, strict=True):
            weights = np.log(self.df.num_images) - np.log(np.maximum(frequency, 1))
            values = level.counts * weights[level.ngrams]
            norms = np.sqrt(level.sum_by_sentence(values**2))
            starts = np.searchsorted(level.sentences, np.arange(len(lengths) + 1))
            sizes = np.diff(starts)[pair_r]
            entries = _runs(starts[pair_r], sizes)  # of the references of all pairs, concatenated
            pair_of_entry = np.repeat(np.arange(len(pair_c)), sizes)
            size = max(level.size, 1)
            keys = level.sentences * size + level.ngrams
            place, hit = find(keys, pair_c[pair_of_entry] * size + level.ngrams[entries])
            theirs, mine = values[entries[hit]], values[place[hit]]
            products = theirs * (mine if self.sigma is None else np.minimum(mine, theirs))
            dots = sums(pair_of_entry[hit], products, len(pair_c))
            scale = norms[pair_c] * norms[pair_r]
            similarity += np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
        if self.sigma is not None:
            pairs_of_words = np.maximum(lengths - 1, 0)
            difference = pairs_of_words[pair_c] - pairs_of_words[pair_r]
            similarity *= np.exp(-(difference**2) / (2 * self.sigma**2))
        return 10 / MAX_N * sums(pair_c, similarity, len(candidates)) / repeats


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenated runs ``starts[i], starts[i] + 1, ...`` of ``lengths[i]`` numbers each: shape (sum,)."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
