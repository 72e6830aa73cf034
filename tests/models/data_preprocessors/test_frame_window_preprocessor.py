import pytest
import torch

from vadlab.models.data_preprocessors.frame_window_preprocessor import FrameWindowPreprocessor
from vadlab.utils.errors import ConfigError, DataError

# One frame of one pixel: red 255, green 0, blue 51.
PIXEL = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ('channels', 'expected'),
    [('rgb', [1.0, -1.0, -0.6]), ('bgr', [-0.6, -1.0, 1.0]), ('grey', [(0.299 * 255 + 0.114 * 51) / 127.5 - 1])],
)
def test_training_windows_are_float_on_the_scale_of_the_model_by_hand(channels, expected):
    out = FrameWindowPreprocessor(channels)(dict(inputs=[PIXEL, PIXEL], data_samples=None), True)['inputs']
    assert out.shape == (2, 1, len(expected), 1, 1)
    torch.testing.assert_close(out[1, 0, :, 0, 0], torch.tensor(expected))


def test_test_videos_stay_as_they_are_and_may_differ_in_length():
    videos = [PIXEL, PIXEL.expand(3, -1, -1, -1)]
    out = FrameWindowPreprocessor()(dict(inputs=videos, data_samples=None), False)['inputs']
    assert [a is b for a, b in zip(out, videos, strict=True)] == [True, True]


def test_windows_of_different_lengths_in_training_are_refused():
    videos = [PIXEL, PIXEL.expand(3, -1, -1, -1)]
    with pytest.raises(DataError, match='video 1 of the batch has shape'):
        FrameWindowPreprocessor()(dict(inputs=videos), True)


def test_other_inputs_than_pixels_are_refused():
    with pytest.raises(DataError, match=r'float32 of shape \(1, 3, 1, 1\)'):
        FrameWindowPreprocessor()(dict(inputs=[PIXEL.float()]), False)


@pytest.mark.parametrize(('options', 'message'), [(dict(channels='hsv'), 'hsv'), (dict(std=0), 'std must be > 0')])
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FrameWindowPreprocessor(**options)
