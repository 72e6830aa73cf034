"""Random draws of a sample that depend on nothing but the seed, the epoch and the sample."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class SeededIndices(list):
    """The samples of a batch, with what the seed of each is made of.

    Args:
        indices (Iterable[int]): Indices into the data set.
        seed (int): The run's.
        epoch (int): From 0.
        turns (Iterable[int]): How often each sample was drawn before in this epoch.
    """

    def __init__(self, indices: Iterable[int], seed: int = 0, epoch: int = 0, turns: Iterable[int] = ()) -> None:
        super().__init__(indices)
        self.keys = [(seed, epoch, index, turn) for index, turn in zip(self, turns, strict=True)]


class SeededSamples:
    """A data set's ``__getitems__``, which seeds all generators of the CPU before each sample and puts them back after.

    A sample then draws the same whatever loads it: the training process, any of its workers, a resumed run.

    Args:
        dataset (Any): With ``__getitem__``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __call__(self, indices: list[int]) -> list[Any]:
        """The samples; indices that are not :class:`SeededIndices` draw from the generators as they are."""
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
