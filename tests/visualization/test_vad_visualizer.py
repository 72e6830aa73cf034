import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from vadlab.registry import VISUALIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError
from vadlab.visualization.vad_visualizer import VADVisualizer


@pytest.fixture
def visualizer():
    return VADVisualizer(dpi=40, num_tiles=2)


@pytest.fixture
def sample():
    sample = VADDataSample(metainfo=dict(video_id='a', fps=10.0, frame_inds=np.array([0, 9]), ori_shape=(24, 32)))
    sample.pred_scores = torch.linspace(0, 1, 10)
    sample.gt_intervals = torch.tensor([[2, 5]])
    sample.gt_regions, sample.pred_regions = InstanceData(), InstanceData()
    sample.gt_regions.captions = ['a man']
    sample.gt_regions.boxes_xyxyn = sample.pred_regions.boxes_xyxyn = torch.tensor([[[0.0, 0, 1, 1]] * 2])
    sample.gt_regions.box_valid = torch.ones(1, 2, dtype=torch.bool)
    return sample


def test_the_frames_colours_arrive_in_the_file(visualizer, sample, tmp_path):
    frames = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    frames[:, 1] = 200
    visualizer.add_datasample('a', frames, sample, tmp_path / 'new' / 'a.png')
    with Image.open(tmp_path / 'new' / 'a.png') as file:
        picture = np.asarray(file)
    assert picture.shape[1] == round(12.8 * 40)
    # Two wide tiles of pure green fill a good part of the picture.
    assert (picture == [0, 200, 0]).all(axis=-1).mean() > 0.15


def test_without_a_file_the_picture_goes_to_the_backends(visualizer, sample, monkeypatch):
    sent = []
    monkeypatch.setattr(visualizer, 'add_image', lambda *args: sent.append(args))
    visualizer.add_datasample('name', torch.zeros(2, 3, 8, 8, dtype=torch.uint8), sample, step=7)
    name, picture, step = sent[0]
    assert (name, step, picture.dtype, picture.shape[2]) == ('name', 7, np.uint8, 3)


def test_only_scores_are_needed(visualizer):
    sample = VADDataSample(metainfo=dict(video_id='a'), pred_scores=torch.rand(5))
    assert visualizer.render(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), sample).ndim == 3


def test_no_prediction_no_frames_and_options(visualizer, sample):
    with pytest.raises(DataError, match=r'a: frames have the shape \(2, 8, 8, 3\)'):
        visualizer.render(torch.zeros(2, 8, 8, 3), sample)
    del sample.pred_scores
    with pytest.raises(DataError, match='a: nothing to draw'):
        visualizer.render(torch.zeros(2, 3, 8, 8), sample)
    with pytest.raises(ConfigError, match='num_tiles is 0'):
        VADVisualizer(num_tiles=0)
    with pytest.raises(ConfigError, match='threshold is 5'):
        VADVisualizer(threshold=5)


def test_a_config_can_name_it():
    built = VISUALIZERS.build(dict(type='VADVisualizer', name='from_config', num_tiles=3))
    assert (type(built), built.num_tiles) == (VADVisualizer, 3)


def test_features_give_the_curve_alone(visualizer, sample):
    with_strip = visualizer.render(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), sample)
    bare = VADDataSample(
        metainfo=dict(video_id='a'), pred_scores=torch.linspace(0, 1, 32), gt_intervals=torch.ones(1, 2)
    )
    for feats in (torch.zeros(1, 2, 64), torch.zeros(10, 2, 64).half()):
        picture = visualizer.render(feats, bare)
        assert picture.shape[1] == with_strip.shape[1]
        assert picture.shape[0] < 0.75 * with_strip.shape[0]
        assert (picture != 255).any(axis=-1).mean() > 0.01
