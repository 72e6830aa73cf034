"""ROUGE-L for captions."""

from collections.abc import Hashable, Sequence

import numpy as np

from vadlab.text.corpus import Caption, check_corpus


def rouge_l(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]], beta: float = 1.2) -> np.ndarray:
    """ROUGE-L per image.

    Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), as in the COCO evaluation: the F-measure of
    the longest common subsequence. Precision (share of the candidate) and recall (share of the reference) are each the
    maximum over the references, possibly from different ones.

    Args:
        candidates (Sequence[Caption]): Words of one caption per image.
        references (Sequence[Sequence[Caption]]): Words of each image's references, at least one.
        beta (float): Weight of recall relative to precision.

    Returns:
        np.ndarray: 0..1, float64, shape (images,).

    Raises:
        DataError: See :func:`check_corpus`.

    Example:
        >>> rouge_l([['a', 'red', 'car']], [[['a', 'car', 'stops']]]).round(4).tolist()
        [0.6667]
    """
    check_corpus(candidates, references)
    scores = np.zeros(len(candidates))
    for image, (candidate, captions) in enumerate(zip(candidates, references, strict=True)):
        positions: dict[Hashable, int] = {}
        for place, word in enumerate(candidate):
            positions[word] = positions.get(word, 0) | 1 << place
        common = [(_common_length(positions, len(candidate), caption), len(caption)) for caption in captions]
        longest = max(length for length, _ in common)
        if longest:
            precision = longest / len(candidate)
            recall = max(length / words for length, words in common if words)
            scores[image] = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return scores


def _common_length(positions: dict[Hashable, int], length: int, other: Caption) -> int:
    """Length of the longest common subsequence of ``other`` and a sentence with its words at ``positions`` (as bits).

    Neighbouring cells in a column of the usual table differ by 0 or 1, so a column fits into the bits of one number,
    and follows from the previous one by one addition (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
    """
    column = everywhere = (1 << length) - 1
    for word in other:
        matches = column & positions.get(word, 0)
        column = (column + matches | column - matches) & everywhere
    return length - column.bit_count()
