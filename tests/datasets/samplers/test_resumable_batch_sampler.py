from torch.utils.data import DataLoader, SequentialSampler

from vadlab.datasets.samplers.resumable_batch_sampler import ResumableBatchSampler


def test_skips_once():
    sampler = ResumableBatchSampler(SequentialSampler(range(7)), 2, False)
    sampler.start_epoch(0, skip=2)
    assert list(sampler) == [[4, 5], [6]]
    assert list(sampler) == [[0, 1], [2, 3], [4, 5], [6]]
    assert len(sampler) == 4


def test_skipped_samples_are_not_loaded():
    loaded = []

    class Data:
        def __len__(self):
            return 6

        def __getitem__(self, i):
            loaded.append(i)
            return i

    sampler = ResumableBatchSampler(SequentialSampler(range(6)), 2, False)
    sampler.start_epoch(0, skip=1)
    assert [b.tolist() for b in DataLoader(Data(), batch_sampler=sampler)] == [[2, 3], [4, 5]]
    assert loaded == [2, 3, 4, 5]
