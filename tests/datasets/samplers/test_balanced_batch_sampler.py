import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader, RandomSampler

from tests.datasets.feature_sets import write_ucf
from vadlab.datasets.samplers.balanced_batch_sampler import BalancedBatchSampler
from vadlab.engine.runner import VADRunner
from vadlab.engine.sanity_check import first_batch
from vadlab.utils.errors import ConfigError
from vadlab.utils.setup_env import register_all_modules


class Videos:
    """Labels alone: abnormal ones first, as in the public lists."""

    def __init__(self, abnormal, normal):
        self.labels = [3] * abnormal + [0] * normal

    def __len__(self):
        return len(self.labels)

    def get_data_info(self, i):
        return dict(label=self.labels[i])

    def __getitem__(self, i):
        return i


def make(abnormal=7, normal=11, batch_size=4, seed=0, **options):
    return BalancedBatchSampler(DefaultSampler(Videos(abnormal, normal), seed=seed), batch_size, **options)


def test_first_half_is_normal_and_second_abnormal():
    sampler = make()
    batches = list(sampler)
    assert len(batches) == len(sampler) == 3  # 7 abnormal ones make three whole halves
    for batch in batches:
        assert all(i >= 7 for i in batch[:2])
        assert all(i < 7 for i in batch[2:])
    drawn = [i for batch in batches for i in batch]
    assert len(set(drawn)) == len(drawn) == 12


def test_longest_class_ends_the_epoch():
    sampler = make(abnormal=5, normal=11, epoch_length='max')
    batches = list(sampler)
    assert len(batches) == len(sampler) == 5
    normal = [i for batch in batches for i in batch[:2]]
    assert len(set(normal)) == 10
    abnormal = [i for batch in batches for i in batch[2:]]
    for start in range(0, 8, 4):  # two whole halves of the five before they are shuffled anew
        assert len(set(abnormal[start : start + 4])) == 4


def test_smaller_class_may_be_smaller_than_half_a_batch():
    batches = list(make(abnormal=3, normal=16, batch_size=16, epoch_length='max'))
    assert len(batches) == 2
    for batch in batches:
        assert sorted(batch[8:]) == [0, 0, 0, 1, 1, 1, 2, 2] or len(set(batch[8:])) == 3


def test_order_follows_from_seed_and_epoch():
    sampler = make()
    first = list(sampler)
    assert list(sampler) == first == list(make())
    assert list(make(seed=1)) != first
    sampler.sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.sampler.set_epoch(0)
    assert list(sampler) == first


def test_resumes_inside_an_epoch_without_loading():
    sampler = make()
    whole = list(sampler)
    sampler.start_epoch(0, skip=2)
    assert list(sampler) == whole[2:]
    assert list(sampler) == whole
    loader = DataLoader(Videos(7, 11), batch_sampler=sampler)
    assert [batch.tolist() for batch in loader] == whole


def test_processes_share_the_samples():
    parts = []
    for rank in range(2):
        sampler = make(abnormal=9, normal=13)
        sampler.sampler.rank, sampler.sampler.world_size = rank, 2
        parts.append(BalancedBatchSampler(sampler.sampler, 4))
    assert [len(part) for part in parts] == [2, 2]
    drawn = [i for part in parts for batch in part for i in batch]
    assert len(set(drawn)) == len(drawn) == 16


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(batch_size=5), 'must be even, not 5'),
        (dict(batch_size=0), 'must be even'),
        (dict(abnormal=0), 'not one of the 11 training samples is abnormal'),
        (dict(normal=0), 'not one of the 7 training samples is normal'),
        (dict(batch_size=16), 'takes 8 of each kind, but a process has 11 normal and 7 abnormal samples'),
        (dict(epoch_length='mean'), "epoch_length is 'mean'; choose one of min, max"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_other_samplers_are_refused():
    videos = Videos(4, 4)
    for sampler in (RandomSampler(videos), DefaultSampler(videos, shuffle=False)):
        with pytest.raises(ConfigError, match="needs sampler=dict.type='DefaultSampler', shuffle=True"):
            BalancedBatchSampler(sampler, 4)


def test_loader_of_the_runner(tmp_path):
    register_all_modules()
    write_ucf(tmp_path)
    loader = VADRunner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='BalancedBatchSampler'),
            dataset=dict(
                type='SnippetFeatures',
                data_root=str(tmp_path),
                ann_file='train.csv',
                feature_dir='features',
                crops='separate',
                pipeline=[
                    dict(type='LoadFeatures'),
                    dict(type='ResampleSnippets', max_snippets=4),
                    dict(type='PackSnippetInputs'),
                ],
            ),
        ),
        seed=0,
    )
    assert len(loader) == 2
    for batch in loader:
        assert [sample.gt_label > 0 for sample in batch['data_samples']] == [False, True]
        assert all(inputs.shape == (1, 4, 8) for inputs in batch['inputs'])
    state = torch.get_rng_state()
    assert [sample.gt_label > 0 for sample in first_batch(loader)['data_samples']] == [False, True]
    assert torch.equal(torch.get_rng_state(), state)
