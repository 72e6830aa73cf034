import numpy as np
import pytest
from mmengine.evaluator import Evaluator

from vadlab.evaluation.functional import Segments, propose_segments, segment_map
from vadlab.evaluation.metrics.segment_metric import SegmentMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import classified, evaluate

UCF = ('Normal', 'Arson', 'Fighting')
XD = ('A', 'B1', 'B2')


def oracle(video_id, num_frames, intervals, label=0):
    scores = np.zeros((num_frames, 3))
    for index, start, end in intervals:
        scores[start:end, index] = 1
    scores[:, 0] = 1 - scores[:, 1:].max(axis=1)
    return classified(video_id, scores, intervals, label)


@pytest.fixture
def samples():
    return [
        oracle('Arson1', 64, [(1, 10, 30)], 1),
        oracle('Fighting1', 80, [(2, 0, 20), (2, 40, 79)], 2),
        oracle('Normal1', 48, []),
    ]


def run(metric, samples, classes):
    metric.dataset_meta = {'classes': classes}
    return evaluate(metric, samples)


def test_an_oracle_in_both_modes(samples):
    numbers = run(SegmentMetric(), samples, UCF)
    assert set(numbers) == {'segment/map', *(f'segment/map@{iou}' for iou in (0.1, 0.2, 0.3, 0.4, 0.5))}
    # Normal has proposals (the normal parts of anomalous videos) and no truth: two classes of three.
    assert list(numbers.values()) == pytest.approx([2 / 3] * 6)
    assert list(run(SegmentMetric('standard'), samples, UCF).values()) == [1.0] * 6


def test_normal_videos_are_truth_where_class_0_is_called_a_as_in_xd_violence(samples):
    # A normal video's probability of Normal is constant, so it is not found; but one with a dip is.
    samples[2].pred_class_scores[:4, 0] = 0
    assert run(SegmentMetric(), samples, UCF)['segment/map'] == pytest.approx(2 / 3)
    metric = SegmentMetric()
    # Of 6 proposals of Normal by falling score, those of the three videos, the only hit is among equals.
    hit = run(metric, samples, XD)['segment/map']
    assert hit > 2 / 3
    assert 'normal videos are its true segments' in metric.protocol['segment/map']
    assert run(SegmentMetric(normal_truth=True), samples, UCF)['segment/map'] == hit
    assert run(SegmentMetric(normal_truth=False), samples, XD)['segment/map'] == pytest.approx(2 / 3)
    assert run(SegmentMetric('standard'), samples, XD)['segment/map'] == 1


def test_equals_the_functions():
    rng = np.random.default_rng(0)
    scores = [np.repeat(rng.dirichlet(np.ones(3), 20), 4, axis=0).astype(np.float32) for _ in range(6)]
    truths = [[(1, 3, 40)], [(2, 10, 20), (1, 60, 78)], [], [(2, 0, 9)], [(1, 30, 70)], []]
    samples = [
        classified(f'v{i}', score, truth, truth[0][0] if truth else 0)
        for i, (score, truth) in enumerate(zip(scores, truths, strict=True))
    ]
    numbers = run(SegmentMetric(ious=(0.1, 0.3)), samples, UCF)
    expected, _ = segment_map(
        [propose_segments(score) for score in scores], [Segments.of(truth) for truth in truths], 3, ious=(0.1, 0.3)
    )
    assert numbers['segment/map@0.1'] == expected[0] > 0
    assert numbers['segment/map@0.3'] == expected[1]
    assert numbers['segment/map'] == expected.mean()


def test_runs_in_an_evaluator_built_from_a_config(samples):
    evaluator = Evaluator([dict(type='vadlab.SegmentMetric', mode='standard', length_policy='truncate')])
    evaluator.dataset_meta = {'classes': UCF}
    evaluator.process(samples, {})
    numbers = evaluator.evaluate(3)
    assert set(numbers) == set(evaluator.metrics[0].protocol)
    assert all('(standard), other lengths: truncate' in text for text in evaluator.metrics[0].protocol.values())


def test_lengths_that_differ(samples):
    samples[0].set_metainfo(dict(total_frames=70))
    with pytest.raises(DataError, match='Arson1: 64 scores for 70 frames'):
        run(SegmentMetric('standard'), samples, UCF)
    assert run(SegmentMetric('standard', length_policy='truncate'), samples, UCF)['segment/map'] == 1


def test_nothing_to_find_is_nan(samples):
    assert np.isnan(run(SegmentMetric('standard'), samples[2:], UCF)['segment/map'])


def test_samples_that_cannot_be_used(samples):
    del samples[1].gt_class_intervals
    samples[1].gt_label = -1
    with pytest.raises(DataError, match='Fighting1 is anomalous, but its class is unknown'):
        run(SegmentMetric(), samples, UCF)
    samples[1].gt_label = 3
    with pytest.raises(DataError, match='Fighting1 has an interval of class index 3, but .* 3 columns'):
        run(SegmentMetric(), samples, UCF)
    samples[0].pred_class_scores[0, 0] = np.nan
    with pytest.raises(DataError, match='Arson1: 1 of 192 class scores are not finite'):
        run(SegmentMetric(), samples, UCF)
    del samples[0].pred_class_scores
    with pytest.raises(DataError, match="the model predicts no 'pred_class_scores' for Arson1"):
        run(SegmentMetric(), samples, UCF)
    with pytest.raises(DataError, match='no sample was tested'):
        SegmentMetric().evaluate(0)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(mode='best'), 'vadclip, standard'),
        (dict(ious=()), 'ious is'),
        (dict(ious=(0.5, 1.5)), 'ious is'),
        (dict(length_policy='best'), 'length_policy'),
    ],
)
def test_options_that_do_not_exist(option, message):
    with pytest.raises(ConfigError, match=message):
        SegmentMetric(**option)
