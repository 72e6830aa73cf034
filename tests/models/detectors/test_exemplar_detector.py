import cv2
import numpy as np
import pytest
import torch
from torch import nn

from vadlab.checkpoints.checkpoint_io import load_weights
from vadlab.models.detectors.exemplar_detector import ExemplarDetector
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError
from vadlab.utils.setup_env import register_all_modules

register_all_modules()


@MODELS.register_module(force=True)
class BrightnessFlow(nn.Module):
    """Motion along x that is the brightness of the second frame, in tens; none along y."""

    def flow(self, before, after):
        return np.stack([after / 10, np.zeros_like(after, float)], -1).astype(np.float32)


def clip(folder, *frames, size=(8, 12)):
    """A folder of grey frames, each a number or a picture; the sample of it."""
    folder.mkdir(parents=True)
    for i, value in enumerate(frames):
        picture = np.broadcast_to(np.asarray(value, np.uint8), size)
        cv2.imwrite(str(folder / f'{i:03d}.png'), np.repeat(picture[..., None], 3, 2))
    info = dict(video_id=folder.name, video_path=str(folder), total_frames=len(frames), ori_shape=size)
    return VADDataSample(metainfo=info)


def build(**options):
    settings = dict(frames=2, cell=2, region=2, threshold=0.1)
    return ExemplarDetector(dict(type='BrightnessFlow'), **{**settings, **options})


def distance(a, b, noise=1.0):
    """Of two motions along x, by hand: the y halves are 0 and count too."""
    return abs(a - b) / (a + b + noise) / 2


def fitted(tmp_path, *values, **options):
    model = build(**options)
    model.gather([clip(tmp_path / 'normal', *values)])
    model.fit()
    return model


def test_greedy_selection_by_hand(tmp_path):
    model = fitted(tmp_path, 10, 10, 20, 20, 20, 20)  # windows move by (1,1), (1,1), (1,2), (2,2), (2,2)
    assert model.memory.num_regions == 3 * 5
    # (1, 2) is (0 + 0.125) / 2 from (1, 1): near. (2, 2) is 0.125 from (1, 1): an exemplar.
    assert distance(1, 2) == pytest.approx(0.125)
    assert [model.memory.size(r) for r in range(15)] == [2] * 15
    first, second = model.memory.of(7)[:, 0].tolist()
    assert (first, second) == (1, 2)


@pytest.mark.parametrize(('threshold', 'count'), [(0.01, 3), (0.1, 2), (0.2, 1)])
def test_a_higher_threshold_selects_fewer(tmp_path, threshold, count):
    assert fitted(tmp_path, 10, 10, 20, 20, 20, threshold=threshold).memory.size(0) == count


def test_no_more_exemplars_than_allowed(tmp_path):
    assert fitted(tmp_path, 10, 10, 50, 50, 200, 200, max_exemplars=1).memory.count == 15


def test_score_is_the_distance_of_the_most_unusual_region_by_hand(tmp_path):
    model = fitted(tmp_path, 10, 10, 10)
    odd = np.full((8, 12), 10)
    odd[2:4, 6:8] = 90  # one cell: row 1, column 3
    (sample,) = model.predict([clip(tmp_path / 'test', 10, 10, 10, odd, odd)])
    # windows end at frames 1 to 4; a window's score belongs to its second frame
    one_of_eight = distance(1, 9) / 4 / 2  # one of four cells, in one of two frames
    assert sample.pred_logits.tolist() == pytest.approx([0, 0, 0, one_of_eight, 2 * one_of_eight])
    regions = sample.pred_region_scores[4]
    assert regions.shape == (3, 5)
    assert torch.nonzero(regions > 0).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert sample.pred_scores[4] > sample.pred_scores[0]


def test_detections_are_the_regions_in_pixels_with_a_reason(tmp_path):
    model = fitted(tmp_path, 10, 10, 10, max_boxes=4)
    odd = np.full((8, 12), 10)
    odd[2:4, 6:8] = 90
    (sample,) = model.predict([clip(tmp_path / 'test', 10, odd, odd)])
    found = sample.pred_detections
    assert len(found) == 3 * 4
    last = found[found.frame_inds == 2]
    assert sorted(last.boxes_xyxy.tolist()) == [[4, 0, 7, 3], [4, 2, 7, 5], [6, 0, 9, 3], [6, 2, 9, 5]]
    assert last.scores.tolist() == pytest.approx([distance(1, 9) / 4] * 4)
    assert last.reasons[0] == 'motion unlike any seen here (distance 0.09); nearest: normal, frame 0'


def test_exemplars_of_one_region_are_not_those_of_another(tmp_path):
    left = np.full((8, 12), 10)
    left[:, :6] = 90
    model = fitted(tmp_path, left, left)
    (same,) = model.predict([clip(tmp_path / 'same', left, left)])
    (turned,) = model.predict([clip(tmp_path / 'turned', left[:, ::-1], left[:, ::-1])])
    assert same.pred_logits.max() == 0
    assert turned.pred_logits.min() == pytest.approx(distance(1, 9))


def test_level_is_measured_before_the_own_exemplars_of_a_clip_are_added(tmp_path):
    model = build()
    model.gather([clip(tmp_path / 'a', 10, 10, 10), clip(tmp_path / 'b', 30, 30, 30)])
    model.fit()
    # The second half of the clips is b, which meets the exemplars of a only.
    assert model.memory.level.tolist() == pytest.approx([distance(1, 3), 1e-3])


def test_a_clip_that_comes_twice_counts_once(tmp_path):
    model, sample = build(), clip(tmp_path / 'a', 10, 10, 50)
    model.gather([sample])
    count = model.memory.count
    terms = model.gather([sample])
    assert terms['exemplars'] == count
    terms['loss'].backward()  # the runner's loop does


def test_state_is_in_checkpoints(tmp_path):
    model, other = fitted(tmp_path, 10, 10, 50, 50), build()
    test = clip(tmp_path / 'test', 10, 90, 20)
    load_weights(other, model.state_dict(), 'epoch_1.pth')
    (ours,), (theirs,) = model.predict([test]), other.predict([test.new()])
    assert torch.equal(ours.pred_logits, theirs.pred_logits)
    assert torch.equal(ours.pred_scores, theirs.pred_scores)
    assert ours.pred_detections.reasons == theirs.pred_detections.reasons


def test_a_checkpoint_from_before_the_fit_is_refused():
    with pytest.raises(CheckpointError, match='epoch_1.pth was saved before the fit'):
        load_weights(build(), build().state_dict(), 'epoch_1.pth')


def test_clips_of_another_size_are_refused(tmp_path):
    model = fitted(tmp_path, 10, 10)
    with pytest.raises(DataError, match=r'test has 4 x 5 regions, but the clips before 3 x 5'):
        model.predict([clip(tmp_path / 'test', 10, 10, size=(10, 12))])


def test_clips_that_are_too_short_or_small_are_refused(tmp_path):
    with pytest.raises(DataError, match='1 frames of 8x12 pixels are too few'):
        build().gather([clip(tmp_path / 'short', 10)])
    with pytest.raises(DataError, match='2 frames of 2x12 pixels are too few'):
        build().gather([clip(tmp_path / 'small', 10, 10, size=(2, 12))])


def test_training_clips_with_anomalies_are_refused(tmp_path):
    sample = clip(tmp_path / 'a', 10, 10)
    sample.gt_intervals = torch.tensor([[0, 1]])
    with pytest.raises(DataError, match='must be normal'):
        build().gather([sample])


def test_a_test_before_the_fit_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='has no exemplars'):
        build().predict([clip(tmp_path / 'a', 10, 10)])
    with pytest.raises(DataError, match='no training clip'):
        build().fit()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(frames=0), 'frames must be at least 1'),
        (dict(region=3), 'even number of cells'),
        (dict(threshold=0.0), 'threshold must be in 0..1'),
        (dict(noise=0.0), 'noise > 0'),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)
