"""Captions to compare implementations on: repeated words, lengths from 1 to 20, references that share much."""

import numpy as np

WORDS = ['a', 'the', 'man', 'woman', 'dog', 'cat', 'is', 'on', 'in', 'with', 'red', *(f'word{i}' for i in range(300))]


def random_corpus(images, seed=0, max_references=5):
    """Words of one candidate and of 1 to ``max_references`` references for each image."""
    rng = np.random.default_rng(seed)
    weights = 1 / (1 + np.arange(len(WORDS)))
    weights /= weights.sum()

    def vary(caption):
        words = list(caption)
        for _ in range(rng.integers(0, 4)):
            place = rng.integers(len(words))
            words[place : place + rng.integers(0, 2)] = rng.choice(WORDS, size=rng.integers(0, 3), p=weights).tolist()
            words = words or ['a']
        return words

    candidates, references = [], []
    for _ in range(images):
        scene = rng.choice(WORDS, size=rng.integers(1, 16), p=weights).tolist()
        candidates.append(vary(scene))
        references.append([vary(scene) for _ in range(rng.integers(1, max_references + 1))])
    return candidates, references


def as_coco(candidates, references):
    """The form that pycocoevalcap takes: text of already separated words."""
    texts = {i: [' '.join(words) for words in captions] for i, captions in enumerate(references)}
    return texts, {i: [' '.join(words)] for i, words in enumerate(candidates)}
