"""Document frequencies: the number of images in whose references an n-gram occurs."""

from collections.abc import Hashable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import open_npz

from .corpus import Caption, check_references
from .ngrams import NGramCounts, count_ngrams, find, number_words


class DocumentFrequencies:
    """Document frequencies of n-grams, n = 1 .. N, from which CIDEr computes its weights.

    N-grams are stored as pairs (number of the prefix without the last word, number of the last word) in sorted arrays.
    The training captions of COCO (four million n-grams) take 65 MB, and files load fast.

    Args:
        words (Sequence[Hashable]): Words or token ids, all of one type; a word's number is its index.
        keys (Sequence[np.ndarray]): Per n, the n-grams' pairs as ``prefix * len(words) + last``, ascending, int64.
        counts (Sequence[np.ndarray]): Per n, the number of images with each n-gram, int64.
        num_images (int): Number of images counted.
    """

    def __init__(
        self, words: Sequence[Hashable], keys: Sequence[np.ndarray], counts: Sequence[np.ndarray], num_images: int
    ) -> None:
        self.words = list(words)
        self.keys = list(keys)
        self.counts = list(counts)
        self.num_images = int(num_images)
        self._numbers = {word: number for number, word in enumerate(self.words)}

    @property
    def max_n(self) -> int:
        """N, the length of the longest n-grams."""
        return len(self.keys)

    @classmethod
    def from_references(cls, references: Sequence[Sequence[Caption]], max_n: int = 4) -> 'DocumentFrequencies':
        """Count n-grams, with the references of an image as one document.

        Raises:
            DataError: See :func:`check_references`.
        """
        check_references(references)
        words, lengths, numbers = number_words(chain.from_iterable(references))
        image_of = np.repeat(np.arange(len(references)), [len(captions) for captions in references])
        levels = count_ngrams(words, lengths, len(numbers), max_n)
        keys = [level.prefixes * len(numbers) + level.lasts for level in levels]
        return cls(list(numbers), keys, [images_with(level, image_of) for level in levels], len(references))

    def of(self, levels: Sequence[NGramCounts], words: Sequence[Hashable]) -> list[np.ndarray]:
        """Frequencies of the n-grams of other captions; 0 if an n-gram never occurred.

        Args:
            levels (Sequence[NGramCounts]): Counts for n = 1 .. at most N.
            words (Sequence[Hashable]): Words of these counts, by number.

        Returns:
            list[np.ndarray]: Per n, int64, shape (K_n,).
        """
        mine: np.ndarray = np.array([self._numbers.get(word, -1) for word in words], dtype=np.int64)
        known: np.ndarray = np.zeros(1, dtype=np.int64)
        frequencies = []
        for keys, counts, level in zip(self.keys, self.counts, levels, strict=False):
            prefixes, lasts = known[level.prefixes], mine[level.lasts]
            place, hit = find(keys, prefixes * len(self.words) + lasts)
            hit &= (prefixes >= 0) & (lasts >= 0)
            known = np.where(hit, place, -1)
            frequencies.append(np.where(hit, counts[place], 0) if len(counts) else place)
        return frequencies

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file atomically.

        Raises:
            DataError: The words are neither all text nor all whole numbers.
        """
        if not (all(isinstance(w, str) for w in self.words) or all(isinstance(w, int) for w in self.words)):
            raise DataError('Document frequencies of words that are neither text nor token ids cannot be saved')
        path = Path(path)
        arrays = {f'keys{n}': keys for n, keys in enumerate(self.keys, 1)}
        arrays |= {f'counts{n}': counts for n, counts in enumerate(self.counts, 1)}
        with atomic_path(path) as part, open(part, 'wb') as file:
            np.savez(file, words=np.array(self.words), num_images=np.array(self.num_images), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> 'DocumentFrequencies':
        """Read a file that :meth:`save` wrote.

        Raises:
            MissingFileError: There is no such file.
            DataError: It does not hold document frequencies.
        """
        if not Path(path).is_file():
            raise MissingFileError(f'{path}: there is no such file of document frequencies')
        try:
            file = {name: read() for name, read in open_npz(path).items()}
            orders = range(1, 1 + sum(name.startswith('keys') for name in file))
            keys, counts = [file[f'keys{n}'] for n in orders], [file[f'counts{n}'] for n in orders]
            _check(file['words'], keys, counts, file['num_images'])
            return cls(file['words'].tolist(), keys, counts, int(file['num_images']))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f'{path} does not contain document frequencies ({error}); write it by save()') from error


def _check(words: np.ndarray, keys: list[np.ndarray], counts: list[np.ndarray], num_images: np.ndarray) -> None:
    if words.ndim != 1 or words.dtype.kind not in 'UiuS' or num_images.shape or num_images.dtype.kind not in 'iu':
        raise ValueError(f'words are {words.dtype} of shape {words.shape}, num_images is {num_images.dtype}')
    for key, count in zip(keys, counts, strict=True):
        if key.ndim != 1 or key.shape != count.shape or key.dtype.kind not in 'iu' or count.dtype.kind not in 'iu':
            raise ValueError(f'keys are {key.dtype} of shape {key.shape}, counts {count.dtype} of {count.shape}')
        if (key[1:] <= key[:-1]).any():
            raise ValueError('keys are not ascending')


def images_with(level: NGramCounts, image_of: np.ndarray) -> np.ndarray:
    """Number of images with each n-gram, int64, shape (K,); ``image_of`` gives each sentence's image."""
    size = max(level.size, 1)
    pairs = np.unique(image_of[level.sentences] * size + level.ngrams)
    return np.bincount(pairs % size, minlength=level.size)
