import re
from collections import Counter

import pytest
import torch

from vadlab.datasets.ucf_crime_regions import UCF_CRIME_CLASSES
from vadlab.registry import DATASETS
from vadlab.simulators.surveillance.synthetic_frames import SyntheticFrames
from vadlab.utils.errors import ConfigError


def test_item_is_a_packed_picture():
    item = SyntheticFrames(8, image_size=64)[3]
    assert item['inputs'].shape == (1, 3, 64, 64)
    assert item['inputs'].dtype == torch.uint8
    sample = item['data_samples']
    assert sample.gt_caption
    tokens = sample.gt_caption_tokens
    assert tokens.dtype == torch.int64
    assert (tokens[0], tokens[-1]) == (49406, 49407)
    assert len(tokens) <= 77


def test_pictures_are_a_function_of_seed_and_index_in_any_order():
    one, two, other = SyntheticFrames(64), SyntheticFrames(64), SyntheticFrames(64, seed=1)
    for i in (5, 40, 4, 63):
        assert torch.equal(one[i]['inputs'], two[i]['inputs'])
    backward = {i: one[i] for i in (63, 5)}
    for i, item in backward.items():
        assert item['data_samples'].gt_caption == two[i]['data_samples'].gt_caption
    assert not torch.equal(one[5]['inputs'], other[5]['inputs'])


def test_splits_show_other_scenes():
    train, val = SyntheticFrames(8), SyntheticFrames(8, split='val')
    assert train.episode(0).scene.seed != val.episode(0).scene.seed
    assert not torch.equal(train[1]['inputs'], val[1]['inputs'])


def test_32_in_a_row_hold_each_event_and_calm_frames_of_the_same_videos():
    dataset = SyntheticFrames(320)
    labels = [dataset[i]['data_samples'].gt_label for i in range(320)]
    names = Counter(UCF_CRIME_CLASSES[label] for i, label in enumerate(labels) if i % 4 == 0)
    assert names == Counter({'Normal': 20} | dict.fromkeys(names.keys() - {'Normal'}, 10))
    assert len(names) == 7
    assert all(label == 0 for i, label in enumerate(labels) if i % 4 == 1)


def test_a_calm_frame_of_an_anomalous_video_is_told_as_calm():
    dataset = SyntheticFrames(320, chinese=0.0)
    for i in range(1, 320, 4):
        caption = dataset[i]['data_samples'].gt_caption.lower()
        assert not re.search(r'fight|explo|robbe|arson|crash|vandal|graffiti', caption), caption


def test_prompts_only_or_never():
    never = SyntheticFrames(64, prompts=0.0, chinese=0.0)
    always = SyntheticFrames(64, prompts=1.0, chinese=0.0)
    long = [len(never[i]['data_samples'].gt_caption.split()) for i in range(0, 64, 4)]
    short = [len(always[i]['data_samples'].gt_caption.split()) for i in range(0, 64, 4)]
    assert sum(long) > 1.5 * sum(short)


def test_share_of_chinese():
    dataset = SyntheticFrames(128, prompts=0.0, chinese=1.0)
    texts = [dataset[i]['data_samples'].gt_caption for i in range(0, 128, 4)]
    assert all(re.search('[\u4e00-\u9fff]', text) for text in texts)


def test_index_beyond_the_end():
    dataset = SyntheticFrames(4)
    assert len(dataset) == 4
    with pytest.raises(IndexError):
        dataset[4]


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(size=0), 'size must be >= 1, not 0'),
        (dict(size=1, chinese=1.5), 'chinese is a share'),
        (dict(size=1, prompts=-0.1), 'prompts is a share'),
        (dict(size=1, split='dev'), "no split 'dev'"),
        (dict(size=1, chines=0.5), 'chinese'),
    ],
)
def test_options_that_cannot_be_are_named(options, match):
    with pytest.raises(ConfigError, match=match):
        DATASETS.build(dict(type='SyntheticFrames', **options))
