import numpy as np
import pytest

from vadlab.datasets.transforms.regions_to_boxes import RegionsToBoxes
from vadlab.utils.errors import ConfigError


def small_region(region, side):
    keyframe = dict(frame=0, bbox=[0.2, 0.2, 0.2 + side, 0.2 + side], enabled=True)
    return {**region, 'caption': 'tiny', 'keyframes': [keyframe]}


def test_boxes_and_masks_by_hand(region):
    results = dict(video_id='v', regions=[region], frame_inds=np.array([0, 15, 25, 40]))
    out = RegionsToBoxes()(results)
    assert out['region_valid'].tolist() == [[False, True, False, True]]
    np.testing.assert_allclose(out['region_boxes'][0, 1], [0.15, 0.2, 0.55, 0.6], rtol=1e-6)
    assert not out['region_boxes'][0, [0, 2]].any()
    assert out['region_boxes'].dtype == np.float32


def test_region_without_a_sampled_frame_is_dropped_and_named_once(region, log_lines):
    transform = RegionsToBoxes()
    for _ in range(2):
        out = transform(dict(video_id='v1', regions=[region], frame_inds=np.array([0, 25])))
        assert out['regions'] == []
        assert out['region_boxes'].shape == (0, 2, 4)
        assert out['region_valid'].shape == (0, 2)
    assert len(log_lines) == 1
    assert 'v1: 1 regions have no box in a sampled frame and are dropped: a man in red' in log_lines[0]


def test_small_boxes_are_dropped_by_area(region, log_lines):
    inds = np.arange(0, 60, 20)
    large, tiny = small_region(region, 0.0708), small_region(region, 0.0706)  # areas 0.00501 and 0.00498
    out = RegionsToBoxes(0.005)(dict(video_id='v', regions=[large, tiny], frame_inds=inds))
    assert len(out['regions']) == 1
    assert out['region_valid'].all()
    exact = small_region(region, 0.1)
    assert len(RegionsToBoxes(0.01)(dict(video_id='v', regions=[exact], frame_inds=inds))['regions']) == 1


def test_a_box_that_shrinks_is_dropped_only_where_it_is_small(region):
    region['keyframes'] = [
        dict(frame=0, bbox=[0, 0, 0.2, 0.2], enabled=True),
        dict(frame=10, bbox=[0, 0, 0.0, 0.2], enabled=False),
    ]
    out = RegionsToBoxes(0.02)(dict(video_id='v', regions=[region], frame_inds=np.arange(11)))
    assert out['region_valid'][0].tolist() == [True] * 6 + [False] * 5  # area 0.04 (1 - t / 10) >= 0.02


def test_report_counts_over_all_frames(region):
    data_list = [dict(video_id='v', regions=[region, small_region(region, 0.05)])]
    [line] = RegionsToBoxes().report(data_list)
    assert line == '60 boxes below 0.5% of the frame dropped, so 1 regions have no box left (v region 1)'
    assert RegionsToBoxes().report([dict(video_id='v', regions=[region])]) == []


def test_share_out_of_range():
    with pytest.raises(ConfigError, match=r'min_box_area must be in 0\.\.1, not 2'):
        RegionsToBoxes(2)
