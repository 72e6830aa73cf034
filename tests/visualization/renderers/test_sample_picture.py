import numpy as np
import torch
from mmengine.structures import InstanceData

from vadlab.structures import VADDataSample
from vadlab.visualization.renderers.sample_picture import draw_sample


def make_sample(n_frames=6):
    sample = VADDataSample(
        metainfo=dict(
            video_id='Abuse001', class_name='Abuse', total_frames=60, ori_shape=(96, 128),
            frame_inds=np.arange(n_frames) * 10,
        )
    )  # fmt: skip
    sample.gt_label = 1
    sample.gt_caption = 'Two men fight. ' * 40
    sample.gt_intervals = torch.tensor([[10, 31]])
    regions = InstanceData()
    regions.captions = ['a man $x_1$']
    regions.boxes_xyxyn = torch.tensor([0.25, 0.25, 0.75, 0.75]).repeat(1, n_frames, 1)
    regions.box_valid = torch.arange(n_frames)[None] == 2
    sample.gt_regions = regions
    return sample


def coloured(picture, colour, tolerance=30):
    return (np.abs(picture.astype(int) - colour).max(-1) < tolerance).sum()


def test_boxes_and_anomalous_frames_are_drawn():
    frames = np.full((6, 24, 32, 3), 128, np.uint8)
    sample = make_sample()
    picture = draw_sample(frames, sample)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == 1400
    assert coloured(picture, [0x2A, 0x9D, 0x3A]) > 300  # the region's box
    assert coloured(picture, [0xE4, 0x57, 0x2E]) > 1000  # edges of frames 10, 20, 30
    sample.gt_regions.box_valid[:] = False
    sample.gt_intervals = torch.zeros(0, 2, dtype=torch.int64)
    plain = draw_sample(frames, sample)
    assert coloured(plain, [0xE4, 0x57, 0x2E]) == 0
    assert coloured(plain, [0x2A, 0x9D, 0x3A]) < coloured(picture, [0x2A, 0x9D, 0x3A]) - 150


def test_more_frames_than_asked_make_no_more_rows():
    frames = np.zeros((40, 24, 32, 3), np.uint8)
    assert draw_sample(frames, make_sample(40), max_frames=8).shape == draw_sample(frames[:6], make_sample()).shape
