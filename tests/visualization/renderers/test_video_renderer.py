"""Videos of which features were tested are drawn with their frames."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from tests.tools.tiny_ucf import write_video
from vadlab.structures import VADDataSample
from vadlab.visualization.renderers.video_renderer import VideoRenderer

FEATS = torch.zeros(1, 3, 8)


@pytest.fixture
def renderer(tmp_path):
    return VideoRenderer(tmp_path / 'show', torch.nn.Identity(), SimpleNamespace(), num_tiles=2)


def sample(**meta):
    found = VADDataSample(metainfo=dict(video_id='a', **meta))
    # Two snippets of 16 frames: more than the video has. The highest score of each half of its 24 frames is at 5, 20.
    found.pred_scores = torch.zeros(32)
    found.pred_scores[[5, 20]] = 0.75
    return found


def picture(renderer, article):
    with Image.open(renderer.folder / article.pictures[0]) as file:
        return np.asarray(file)


def test_frames_of_the_video_are_shown(renderer, tmp_path, monkeypatch):
    path = str(write_video(tmp_path / 'a.mp4', frames=24))
    asked = []
    monkeypatch.setattr(
        'vadlab.visualization.renderers.video_renderer.read_frames',
        lambda index, inds, size: (asked.append((inds.tolist(), size)), np.full((len(inds), *size, 3), 200, np.uint8))[
            1
        ],
    )
    tested = sample(video_path=path)
    article = renderer.draw(FEATS, tested)
    assert asked == [([5, 20], (240, 320))]
    assert (picture(renderer, article) == 200).all(axis=-1).mean() > 0.15
    assert 'frame_inds' not in tested
    assert (article.heading, article.verdict, article.alarm) == ('a', 'video score 0.750', True)


def test_frames_are_those_of_the_file(renderer, tmp_path):
    path = str(write_video(tmp_path / 'a.mp4', frames=24))
    with_frames = picture(renderer, renderer.draw(FEATS, sample(video_path=path)))
    alone = picture(renderer, renderer.draw(FEATS, sample()))
    assert with_frames.shape[0] > 1.5 * alone.shape[0]
    # The square is bright, the noise around it dark.
    strip = with_frames[alone.shape[0] :].reshape(-1, 3)
    assert (strip.max(axis=1) < 90).mean() > 0.2


def test_a_video_that_cannot_be_read_leaves_the_curve(renderer, tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    article = renderer.draw(FEATS, sample(video_path=str(tmp_path / 'a.mp4')))
    assert picture(renderer, article).shape == picture(renderer, renderer.draw(FEATS, sample())).shape


def test_a_method_that_reads_its_videos_itself_gets_frames_with_its_boxes(renderer, tmp_path, monkeypatch):
    path = str(write_video(tmp_path / 'a.mp4', frames=24))
    monkeypatch.setattr(
        'vadlab.visualization.renderers.video_renderer.read_frames',
        lambda index, inds, size: np.full((len(inds), *size, 3), 200, np.uint8),
    )
    tested = sample(video_path=path)
    nothing = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
    plain = picture(renderer, renderer.draw(nothing, tested))
    box = torch.tensor([[4.0, 4, 20, 20]])
    tested.pred_detections = InstanceData(
        frame_inds=torch.tensor([5]), boxes_xyxy=box, scores=torch.ones(1), reasons=['']
    )
    assert (picture(renderer, renderer.draw(nothing, tested)) == plain).all()
    tested.pred_detections.reasons = ['speed']
    boxed = picture(renderer, renderer.draw(nothing, tested))
    changed = (boxed != plain).any(axis=-1)
    assert 0 < changed.mean() < 0.05
    assert (boxed[changed][:, 0] > boxed[changed][:, 2]).all()  # red
    alone = picture(renderer, renderer.draw(nothing, sample()))
    assert alone.shape[0] < plain.shape[0]
