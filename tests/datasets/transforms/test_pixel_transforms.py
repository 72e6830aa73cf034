"""Resize, RandomFlip, ColorJitter and BlankFrames."""

import numpy as np
import pytest
import torch

from vadlab.datasets.transforms.blank_frames import BlankFrames
from vadlab.datasets.transforms.color_jitter import ColorJitter
from vadlab.datasets.transforms.random_flip import RandomFlip
from vadlab.datasets.transforms.resize import Resize
from vadlab.utils.errors import ConfigError


@pytest.fixture
def results():
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)
    boxes = np.array([[[0.1, 0.2, 0.4, 0.9], [0, 0, 0, 0], [0.5, 0, 1, 1]]], np.float32)
    return dict(frames=frames, region_boxes=boxes, region_valid=np.array([[True, False, True]]))


def test_flip_mirrors_frames_and_boxes(results):
    before = results['frames'].copy()
    out = RandomFlip(prob=1.0)(results)
    assert out['flip'] is True
    np.testing.assert_array_equal(out['frames'], before[:, :, ::-1])
    expected = [[[0.6, 0.2, 0.9, 0.9], [0, 0, 0, 0], [0, 0, 0.5, 1]]]
    np.testing.assert_allclose(out['region_boxes'], expected, atol=1e-6)
    assert out['region_boxes'].dtype == np.float32


def test_flip_happens_as_often_as_said(results):
    torch.manual_seed(0)
    flips = [RandomFlip(prob=0.3)(dict(results))['flip'] for _ in range(1000)]
    assert abs(np.mean(flips) - 0.3) < 0.05
    assert not RandomFlip(prob=0.0)(dict(results))['flip']


def test_jitter_by_hand(monkeypatch):
    class Fixed:
        def uniform(self, low, high, n):
            return np.array([0.5, -0.5, -1.0])

    monkeypatch.setattr('vadlab.datasets.transforms.color_jitter.new_generator', Fixed)
    frames = np.array([[[[100, 50, 20], [60, 60, 60]]]], np.uint8)
    out = ColorJitter(0.2, 0.4, 1.0)(dict(frames=frames))['frames']
    # Factors 1.1, 0.8, 0: each pixel becomes its grey (61.53 and 60), times 1.1, drawn to the mean 66.84 by 0.8.
    grey = np.array([0.299 * 100 + 0.587 * 50 + 0.114 * 20, 60.0]) * 1.1
    expected = np.rint(0.8 * grey + 0.2 * grey.mean())
    np.testing.assert_allclose(out[0, 0], np.repeat(expected[:, None], 3, 1), atol=1)


def test_jitter_changes_all_frames_alike_and_zero_changes_nothing(results):
    frames = np.repeat(results['frames'][:1], 4, axis=0)
    torch.manual_seed(0)
    out = ColorJitter(0.4, 0.4, 0.4)(dict(frames=frames))['frames']
    assert (out == out[:1]).all()
    assert (out != frames).any()
    np.testing.assert_array_equal(ColorJitter(0, 0, 0)(dict(frames=frames))['frames'], frames)


def test_blank(results):
    kept = BlankFrames(enabled=False)(dict(results))['frames']
    np.testing.assert_array_equal(kept, results['frames'])
    blank = BlankFrames()(dict(results))['frames']
    assert blank.shape == kept.shape
    assert blank.dtype == np.uint8
    assert not blank.any()


def test_resize_keeps_normalised_boxes(results):
    boxes = results['region_boxes'].copy()
    out = Resize((4, 5))(results)
    assert out['frames'].shape == (3, 4, 5, 3)
    assert out['img_shape'] == (4, 5)
    np.testing.assert_array_equal(out['region_boxes'], boxes)


def test_shrinking_averages():
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[:, ::2] = 200
    assert (Resize(2)(dict(frames=frames))['frames'] == 100).all()


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: RandomFlip(1.5), r'prob must be in 0\.\.1'),
        (lambda: ColorJitter(contrast=2), 'contrast must be'),
        (lambda: Resize(0), 'size must be'),
    ],
)
def test_options_that_cannot_be(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
