import copy
import pickle
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import SequentialSampler

from vadlab.datasets.sample_seeds import SeededIndices, SeededSamples
from vadlab.datasets.samplers import ResumableBatchSampler


class Draws:
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


small = st.integers(0, 2**40)


@given(seed=small, epoch=small, indices=st.lists(small, min_size=2, max_size=4, unique=True))
def test_draws_depend_on_seed_epoch_and_index_alone(seed, epoch, indices):
    load = SeededSamples(Draws())
    drawn = load(SeededIndices(indices, seed, epoch, [0] * len(indices)))
    torch.rand(3)
    alone = [load(SeededIndices([index], seed, epoch, [0]))[0] for index in reversed(indices)]
    assert drawn == alone[::-1]
    others = [
        *load(SeededIndices(indices, seed + 1, epoch, [0] * len(indices))),
        *load(SeededIndices(indices, seed, epoch + 1, [0] * len(indices))),
        *load(SeededIndices(indices, seed, epoch, [1] * len(indices))),
    ]
    assert len({sample[2] for sample in drawn + others}) == 4 * len(indices)


def test_generators_are_put_back_even_after_an_error():
    class Broken(Draws):
        def __getitem__(self, index):
            super().__getitem__(index)
            raise ValueError

    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    expected = Draws()[0]
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    try:
        SeededSamples(Broken())(SeededIndices([1], turns=[0]))
    except ValueError:
        pass
    assert Draws()[0] == expected


def test_batches_count_how_often_a_sample_was_drawn():
    sampler = ResumableBatchSampler([4, 5, 4, 4, 5], 2, False)
    sampler.start_epoch(7, skip=1)
    assert [batch.keys for batch in sampler] == [[(0, 7, 4, 1), (0, 7, 4, 2)], [(0, 7, 5, 1)]]


def test_indices_travel_to_workers():
    indices = next(iter(ResumableBatchSampler(SequentialSampler(range(3)), 2, False)))
    for copied in (pickle.loads(pickle.dumps(indices)), copy.deepcopy(indices)):
        assert copied == [0, 1]
        assert copied.keys == indices.keys
