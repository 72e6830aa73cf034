import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from vadlab.evaluation.metrics.space_metric import SpaceMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import boxed, evaluate, scored


def reported(video_id, probabilities, intervals=(), found=(), true=()):
    """``found`` of frame, box, score; ``true`` of track, frame, box."""
    sample = scored(video_id, torch.tensor(probabilities).logit(), intervals, int(bool(intervals)))
    found, true = (np.array(rows, dtype=np.float32).reshape(-1, 6) for rows in (found, true))
    sample.pred_detections, sample.gt_tracks = InstanceData(), InstanceData()
    sample.pred_detections.frame_inds = torch.tensor(found[:, 0]).long()
    sample.pred_detections.boxes_xyxy = torch.tensor(found[:, 1:5])
    sample.pred_detections.scores = torch.tensor(found[:, 5])
    sample.gt_tracks.track_ids, sample.gt_tracks.frame_inds = torch.tensor(true[:, :2]).long().T
    sample.gt_tracks.boxes_xyxy = torch.tensor(true[:, 2:])
    return sample


@pytest.fixture
def samples():
    return [
        reported(
            'a',
            [0.1, 0.9, 0.2, 0.8],
            [[1, 4]],
            found=[(1, 0, 0, 9, 9, 0.9), (1, 50, 50, 59, 59, 0.95), (2, 0, 0, 9, 9, 0.5), (2, 3, 3, 4, 4, 0.1)],
            true=[(0, 1, 50, 50, 59, 59), (0, 2, 0, 0, 9, 4), (1, 2, 0, 5, 9, 9), (0, 3, 0, 0, 9, 9)],
        ),
        reported('normal', [0.3, 0.05], found=[(0, 0, 0, 5, 5, 0.4)]),
    ]


def test_by_hand(samples):
    metric = SpaceMetric(threshold=0.5, recall_at=(1, 2))
    numbers = evaluate(metric, samples)
    # Frame 1: the surest of two boxes is the true one. Frame 2: two true boxes make the predicted one. Frame 3: none.
    assert numbers['space/miou'] == pytest.approx((1 + 1 + 0) / 3)
    # Frame 2 scores 0.2: it is missed.
    assert numbers['space/tiou'] == pytest.approx(1 / 3)
    # By score 0.95: one of four regions, and with it track 0; 0.9: a false positive; 0.5: both regions of frame 2; 0.4,
    # 0.1: false positives. Of six frames.
    assert numbers['space/rbdc'] == pytest.approx((1 / 6 * 1 + 5 / 6 * 3) / 4, abs=1e-6)
    assert numbers['space/tbdc'] == pytest.approx(1 / 6 * 0.5 + 5 / 6)
    # IoU of the predicted box with each half is 0.5.
    assert (numbers['space/recall@1'], numbers['space/recall@2']) == (0.75, 0.75)
    assert set(metric.protocol) == set(numbers) == {f'space/{key}' for key in metric.higher_is_better}
    assert 'frame score >= 0.5' in metric.protocol['space/tiou']


def test_youdens_threshold_comes_from_all_test_frames(samples):
    metric = SpaceMetric(items=['tiou'])
    # 2 of 3 anomalous frames score 0.8 or more, no normal one; all of them 0.2 or more, and 1 of 3 normal ones: a tie.
    assert evaluate(metric, samples) == {'space/tiou': pytest.approx(1 / 3)}
    assert metric.used_threshold == pytest.approx(0.8)
    assert "0.8 (Youden's)" in metric.protocol['space/tiou']


def test_regions_of_sampled_frames_where_there_are_no_detections():
    true = [[[0, 0, 0.5, 1], [0, 0, 1, 1]], [[0.5, 0, 1, 1], [0, 0, 0, 0]]]
    sample = boxed('a', true, [[True, True], [True, False]], [[[0, 0, 1, 1], [0, 0, 0.5, 1]], [[0, 0, 0.1, 1]] * 2])
    sample.pred_regions.box_scores = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    sample.set_metainfo(dict(total_frames=8, frame_inds=np.array([2, 6])))
    sample.gt_intervals = torch.tensor([[0, 8]])
    sample.pred_scores = torch.full((8,), 0.7)
    metric = SpaceMetric(threshold=0.5)
    numbers = evaluate(metric, [sample])
    # Frame 2: region 0 is surer, and its box is the union. Frame 6: region 1 has no true box there; half of region 0's.
    assert numbers == {'space/miou': pytest.approx(0.75), 'space/tiou': pytest.approx(0.75)}
    assert set(metric.protocol) == set(numbers)
    sample.gt_intervals = torch.tensor([[0, 3]])
    assert evaluate(SpaceMetric(['miou']), [sample]) == {'space/miou': 1.0}
    del sample.pred_regions.box_scores
    with pytest.raises(DataError, match=r'a: pred_regions.box_scores is missing; expected \(2, 2\)'):
        evaluate(SpaceMetric(['miou']), [sample])


def test_no_box_at_all_is_nan():
    normal = reported('a', [0.3, 0.2])
    assert np.isnan(list(evaluate(SpaceMetric(), [normal]).values())).all()


def test_samples_that_cannot_be_used(samples):
    with pytest.raises(DataError, match=r'1 videos have no pred_detections \(first: b\)'):
        evaluate(SpaceMetric(), [samples[0], scored('b', [0.0])])
    samples[1].pred_detections.frame_inds = torch.tensor([2])
    with pytest.raises(DataError, match='normal has boxes in frames 2 to 2; its frames are 0 to 1'):
        evaluate(SpaceMetric(), samples)
    samples[1].pred_detections.frame_inds = torch.tensor([0])
    del samples[0].gt_tracks
    with pytest.raises(DataError, match=r'1 of 2 videos have .* gives no gt_tracks .*\(first: a\)'):
        evaluate(SpaceMetric(), samples)


def test_a_set_without_any_true_box_has_no_numbers_and_the_log_says_so(samples, monkeypatch):
    said = []
    monkeypatch.setattr(SpaceMetric, 'log', lambda self, message: said.append(message))
    for sample in samples:
        del sample.gt_tracks, sample.gt_intervals
    metric = SpaceMetric(['rbdc', 'tbdc'])
    assert evaluate(metric, samples) == metric.protocol == {}
    assert said == ['the test set has no true boxes or pixel masks (gt_tracks) to compare pred_detections with']


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(items=['iou']), 'items is'),
        (dict(items='tiou'), 'items is'),
        (dict(threshold='best'), "a score, or 'youden'"),
        (dict(alpha=0), 'alpha is 0'),
        (dict(beta=1.5), 'beta is 1.5'),
        (dict(recall_at=[0]), 'recall_at is'),
    ],
)
def test_options_that_do_not_exist(option, message):
    with pytest.raises(ConfigError, match=message):
        SpaceMetric(**option)
