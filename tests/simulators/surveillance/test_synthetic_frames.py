import re

import numpy as np
import pytest
import torch

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
    for i in (63, 5):
        first, second = one[i]['data_samples'], two[i]['data_samples']
        assert first.gt_caption == second.gt_caption
        assert first.gt_regions.captions == second.gt_regions.captions
    assert not torch.equal(one[5]['inputs'], other[5]['inputs'])


def test_a_pool_repeats_its_pictures_in_other_words():
    dataset = SyntheticFrames(60, pictures=20)
    assert torch.equal(dataset[3]['inputs'], dataset[43]['inputs'])
    captions = [[dataset[i + shift]['data_samples'].gt_caption for i in range(20)] for shift in (0, 20, 40)]
    assert sum(a == b for a, b in zip(captions[0], captions[1], strict=True)) < 5
    assert len(dataset._kept) == 20
    assert len(SyntheticFrames(60)._kept) == 0


def test_splits_show_other_scenes():
    train, val = SyntheticFrames(8), SyntheticFrames(8, split='val')
    assert train.episode(0).scene.seed != val.episode(0).scene.seed
    assert not torch.equal(train[1]['inputs'], val[1]['inputs'])


def test_regions_are_the_actors_and_an_empty_place():
    dataset, empty, told = SyntheticFrames(60, chinese=0.0, max_regions=3), 0, 0
    for i in range(60):
        regions = dataset[i]['data_samples'].gt_regions
        boxes = regions.boxes_xyxyn[:, 0]
        assert regions.boxes_xyxyn.shape == (len(regions.captions), 1, 4)
        assert regions.box_valid.all()
        assert ((boxes[:, 2:] > boxes[:, :2]).all() and boxes.min() >= 0 and boxes.max() <= 1) or not len(boxes)
        acts = [phrase.act for phrase in dataset.episode(i).phrases(np.random.default_rng(0)).values()]
        for caption, box in zip(regions.captions, boxes, strict=True):
            if not caption.startswith('an empty place'):
                told += any(caption.endswith(act) for act in acts)
                continue
            empty += 1
            for other in boxes[:-1]:  # the empty part touches no actor
                assert box[0] >= other[2] or box[2] <= other[0] or box[1] >= other[3] or box[3] <= other[1]
    assert empty > 50
    assert told > 100


def test_no_event_is_in_any_picture():
    dataset = SyntheticFrames(400)
    for number in range(100):
        episode = dataset.episode(number)
        assert episode.event is None
        assert episode.intervals() == []
        for actor in episode.bystanders.values():
            assert type(actor).__module__.startswith('vadlab.simulators.surveillance.everyday.')


def test_share_of_chinese():
    dataset = SyntheticFrames(32, chinese=1.0)
    texts = [dataset[i]['data_samples'].gt_caption for i in range(32)]
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
        (dict(size=1, pictures=0), 'pictures must be at least 1'),
        (dict(size=1, split='dev'), "no split 'dev'"),
        (dict(size=1, chines=0.5), 'chinese'),
    ],
)
def test_options_that_cannot_be_are_named(options, match):
    with pytest.raises(ConfigError, match=match):
        DATASETS.build(dict(type='SyntheticFrames', **options))
