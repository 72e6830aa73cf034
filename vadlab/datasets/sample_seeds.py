"""Seeding of random draws per sample, from the seed, the epoch and the sample alone."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class SeededIndices(list):
    """Indices of a batch's samples, with the values from which the seed of each is computed.

    Args:
        indices (Iterable[int]): Indices into the data set.
        seed (int): Seed of the run.
        epoch (int): Number of the epoch, from 0.
        turns (Iterable[int]): Number of earlier draws of each sample in this epoch.
    """

    def __init__(self, indices: Iterable[int], seed: int = 0, epoch: int = 0, turns: Iterable[int] = ()) -> None:
        super().__init__(indices)
        self.keys = [(seed, epoch, index, turn) for index, turn in zip(self, turns, strict=True)]


class SeededSamples:
    """A data set's ``__getitems__`` that seeds all CPU generators before each sample, and restores them afterwards.

    A sample then draws the same numbers in the training process, in any worker and in a resumed run.

    Args:
        dataset (Any): Data set with ``__getitem__``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __call__(self, indices: list[int]) -> list[Any]:
        """Load the samples; for indices that are not :class:`SeededIndices`, the generators are not seeded."""
        if not isinstance(indices, SeededIndices):
            return [self.dataset[index] for index in indices]
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - transforms draw from it
        try:
            return [self._load(index, key) for index, key in zip(indices, indices.keys, strict=True)]
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            torch.set_rng_state(states[2])

    def _load(self, index: int, key: tuple[int, ...]) -> Any:
        words = np.random.SeedSequence(key).generate_state(4)
        number = int.from_bytes(words.tobytes(), 'little')
        random.seed(number)
        np.random.seed(words)  # noqa: NPY002
        torch.default_generator.manual_seed(number % 2**63)  # not torch.manual_seed, which also seeds GPUs
        return self.dataset[index]
