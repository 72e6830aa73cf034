import numpy as np
import pytest
import torch

from vadlab.models.detectors.frame_window_detector import FrameWindowDetector, psnr
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.setup_env import register_all_modules

register_all_modules()


class Levels(FrameWindowDetector):
    """Two components: the red of the scored frame, and ten minus twice the green of the first frame of a window."""

    def __init__(self, window=3, scored_frame=1, weights=None, **options):
        super().__init__(window, scored_frame, weights or {'red': 1.0, 'green': 1.0}, **options)

    def loss(self, frames_btchw):
        return {'loss_mean': frames_btchw.mean()}

    def components(self, video):
        starts = self.window_starts(len(video))
        red = video[starts + self.scored_frame, 0].float().mean((1, 2))
        return {'red': red, 'green': 10 - 2 * video[starts, 1].float().mean((1, 2))}


def video(reds, greens=None):
    frames = torch.zeros(len(reds), 3, 2, 2, dtype=torch.uint8)
    frames[:, 0] = torch.tensor(reds, dtype=torch.uint8)[:, None, None]
    if greens is not None:
        frames[:, 1] = torch.tensor(greens, dtype=torch.uint8)[:, None, None]
    return frames


def predict(model, frames, total=None):
    sample = VADDataSample(metainfo=dict(video_id='a', total_frames=len(frames) if total is None else total))
    data = model.data_preprocessor(dict(inputs=[frames], data_samples=[sample]), False)
    return model.eval()(**data, mode='predict')[0]


def calibrated(**options):
    """Red has the mean 4 and the deviation 2 in training, green 6 and 2; they always agree, so their sum deviates 2."""
    model = Levels(**options)
    windows = [video([9, 2, 9], [3, 9, 9]), video([9, 6, 9], [1, 9, 9])]
    assert model.calibrate([dict(inputs=windows)]) == 2
    return model


def test_calibration_by_hand():
    model = calibrated()
    assert model.component_mean.tolist() == [4, 6]
    assert model.component_std.tolist() == [2, 2]
    assert model.total_mean_std.tolist() == [0, 2]
    assert int(model.calibrated_windows) == 2


def test_score_is_the_weighted_sum_in_deviations_of_training_by_hand():
    sample = predict(calibrated(), video([0, 8, 4, 6, 0], [3, 1, 0, 0, 0]))
    # windows: red 8, 4, 6 are 2, 0, 1 deviations; green 10 - 6, 10 - 2, 10 - 0 are -1, 1, 2; half of their sum
    assert sample.pred_logits.tolist() == [0.5, 0.5, 0.5, 1.5, 1.5]
    torch.testing.assert_close(sample.pred_scores, torch.sigmoid(sample.pred_logits - 3))
    assert 'score_normalisation' not in sample


def test_weights_count():
    sample = predict(calibrated(weights={'red': 1.0, 'green': 0.0}), video([0, 8, 4, 6, 0]))
    assert sample.pred_logits.tolist() == [2, 2, 0, 1, 1]


def test_per_clip_scales_each_component_by_its_range_in_the_clip_and_says_so():
    sample = predict(Levels(normalisation='per_clip'), video([0, 8, 4, 6, 0], [3, 1, 0, 0, 0]))
    # red 8, 4, 6 -> 1, 0, 0.5; green 4, 8, 10 -> 0, 2/3, 1; means
    np.testing.assert_allclose(sample.pred_scores, [0.5, 0.5, 1 / 3, 0.75, 0.75], rtol=1e-6)
    assert torch.equal(sample.pred_logits, sample.pred_scores)
    assert sample.score_normalisation == 'per_clip'


def test_per_clip_of_a_constant_component_is_zero_not_nan():
    sample = predict(Levels(normalisation='per_clip'), video([5, 5, 5, 5]))
    assert sample.pred_scores.tolist() == [0, 0, 0, 0]


def test_a_constant_component_in_training_keeps_its_scale():
    model = Levels(weights={'red': 1.0, 'green': 0.0})
    model.calibrate([dict(inputs=[video([1, 7, 1]), video([1, 7, 1])])])
    assert model.component_std.tolist() == [1, 1]
    assert predict(model, video([0, 9, 0])).pred_logits.tolist() == [2, 2, 2]


def test_scores_between_strided_windows_are_interpolated():
    model = Levels(weights={'red': 1.0, 'green': 0.0}, window_stride=2)
    assert predict(model, video([0, 2, 9, 6, 9, 9])).pred_logits.tolist() == [2, 2, 4, 6, 6, 6]


def test_float_windows_are_the_same_whatever_the_chunk():
    model, frames = Levels(window_stride=2), video(list(range(9)))
    whole = torch.cat(list(model.float_windows(frames, 100)))
    assert whole.shape == (4, 3, 3, 2, 2)
    assert ((whole[:, :, 0, 0, 0] + 1) * 127.5).round().tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]]
    for chunk in (1, 3):
        assert torch.equal(torch.cat(list(model.float_windows(frames, chunk))), whole)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(normalisation='minmax'), "'minmax' is not one of training, per_clip"),
        (dict(window=0), 'window=0'),
        (dict(scored_frame=3), 'scored_frame=3'),
        (dict(window_stride=0), 'window_stride=0'),
        (dict(weights={'red': 0.0}), 'not all 0'),
        (dict(weights={'red': -1.0, 'green': 1.0}), '>= 0'),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Levels(**options)


def test_a_video_shorter_than_a_window_is_refused():
    with pytest.raises(DataError, match="video 'a' has 2 frames, but a window of the model has 3"):
        predict(Levels(), video([1, 2]))


def test_a_video_of_which_only_some_frames_were_decoded_is_refused():
    with pytest.raises(DataError, match='has 40 frames, but 4 were decoded.*TakeAllFrames'):
        predict(Levels(), video([1, 2, 3, 4]), total=40)


def test_training_windows_of_another_length_are_refused():
    with pytest.raises(DataError, match='have 5 frames, but the model takes 3'):
        Levels()(torch.zeros(1, 5, 3, 2, 2), mode='loss')


def test_psnr_by_hand():
    np.testing.assert_allclose(psnr(torch.tensor([1.0, 0.1, 0.001])), [0, 10, 30], atol=1e-5)
