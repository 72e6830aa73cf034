import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from sklearn.metrics import average_precision_score, roc_auc_score

from vadlab.evaluation.functional import forward_window
from vadlab.evaluation.metrics.frame_score_metric import FrameScoreMetric
from vadlab.evaluation.metrics.video_score_metric import VideoScoreMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import classified, evaluate, scored


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [
        scored('Abuse001', rng.normal(size=40), [[5, 12], [30, 99]], 1),
        scored('Arson001', rng.normal(size=25), [[0, 10]], 3),
        scored('Normal001', rng.normal(size=60)),
    ]


def test_all_numbers_equal_scikit_learn(samples):
    labels = [np.zeros(40), np.zeros(25), np.zeros(60)]
    labels[0][5:12] = labels[0][30:] = labels[1][:10] = 1
    logits = [sample.pred_logits.numpy() for sample in samples]
    numbers = evaluate(FrameScoreMetric(), samples)
    everything = np.concatenate(labels), np.concatenate(logits)
    assert set(numbers) == {f'frame/{key}' for key in ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer', 'far')}
    assert numbers['frame/auc'] == pytest.approx(roc_auc_score(*everything), abs=1e-12)
    assert numbers['frame/ap'] == pytest.approx(average_precision_score(*everything), abs=1e-12)
    ano = roc_auc_score(np.concatenate(labels[:2]), np.concatenate(logits[:2]))
    assert numbers['frame/ano_auc'] == pytest.approx(ano, abs=1e-12)
    macro = np.mean([roc_auc_score(labels[i], logits[i]) for i in range(2)])
    assert numbers['frame/macro_auc'] == pytest.approx(macro, abs=1e-12)
    assert numbers['frame/far'] == (logits[2] >= 0).mean()
    assert 0 < numbers['frame/eer'] < 1


def test_far_at_a_calibrated_threshold_is_a_number_of_its_own(samples):
    metric = FrameScoreMetric()
    metric.calibrate(0.75, 'epoch_1.calibration.json')
    numbers = evaluate(metric, samples)
    assert numbers['frame/far_calibrated'] == (samples[2].pred_scores.numpy() >= 0.75).mean()
    assert numbers['frame/far'] == (samples[2].pred_scores.numpy() >= 0.5).mean()
    assert 'score >= 0.75 (epoch_1.calibration.json)' in metric.protocol['frame/far_calibrated']


def test_ranks_by_margins_where_probabilities_saturate():
    sample = scored('a', [50.0, 60.0], [[1, 2]], 1)
    assert sample.pred_scores.tolist() == [1, 1]
    assert evaluate(FrameScoreMetric(), [sample])['frame/auc'] == 1


def test_runs_in_an_evaluator_built_from_a_config(samples):
    evaluator = Evaluator([dict(type='vadlab.FrameScoreMetric', ap_mode='trapezoid', prefix='val')])
    evaluator.process(samples[:2], {})
    evaluator.process(samples[2:], {})
    numbers = evaluator.evaluate(3)
    assert set(numbers) == set(evaluator.metrics[0].protocol)
    assert 'trapezoid' in evaluator.metrics[0].protocol['val/ap']


def test_every_number_has_a_protocol_that_names_the_choices():
    metric = FrameScoreMetric(macro_mode='pad01', length_policy='truncate', far_threshold=0.25)
    assert set(metric.protocol) == {f'frame/{key}' for key in {*metric.higher_is_better} - {'mauc', 'far_calibrated'}}
    assert 'pad01' in metric.protocol['frame/macro_auc']
    assert 'truncate' in metric.protocol['frame/auc']
    assert 'matlab' not in metric.protocol['frame/auc']
    metric.dataset_meta = {'interval_mode': 'matlab'}
    for text in metric.protocol.values():
        assert text.endswith(', intervals matlab, other lengths: truncate')
    assert 'by score' in metric.protocol['frame/macro_auc']
    assert 'by logit' in metric.protocol['frame/auc']
    assert 'by logit' in FrameScoreMetric().protocol['frame/macro_auc']
    assert '0.25' in metric.protocol['frame/far']


@pytest.mark.parametrize(
    ('normalisation', 'told'),
    [
        ('per_clip', 'WARNING: scores scaled to 0..1'),
        ('video_reference', 'relative to what is usual in each test video'),
    ],
)
def test_scores_that_were_normalised_within_test_videos_are_told_in_every_protocol(samples, normalisation, told):
    metric = FrameScoreMetric()
    evaluate(metric, samples)
    assert normalisation not in metric.protocol['frame/auc']
    samples[1].set_metainfo(dict(score_normalisation=normalisation))
    evaluate(metric, samples)
    assert all(told in text and normalisation in text for text in metric.protocol.values())


def test_macro_modes_that_add_frames_use_probabilities(samples):
    skip, pad = (evaluate(FrameScoreMetric(macro_mode=mode), samples)['frame/macro_auc'] for mode in ('skip', 'pad01'))
    assert pad > skip


@pytest.mark.parametrize(('policy', 'frames'), [('truncate', 3), ('pad_last', 4)])
def test_length_policies(policy, frames):
    sample = scored('a', [0.0, 2.0, 1.0], [[1, 2]], 1, total_frames=4)
    with pytest.raises(DataError, match='a: 3 scores for 4 frames'):
        evaluate(FrameScoreMetric(), [sample])
    metric = FrameScoreMetric(length_policy=policy)
    metric.process({}, [sample.to_dict()])
    result = metric.results[0]
    assert result['lengths'] is None
    assert len(result['labels']) == len(result['logits']) == frames
    assert metric.evaluate(1)['frame/auc'] == 1


def test_one_class_is_nan_and_no_crash():
    numbers = evaluate(FrameScoreMetric(), [scored('a', [0.0, 1.0])])
    assert np.isnan([numbers[f'frame/{key}'] for key in ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer')]).all()
    assert numbers['frame/far'] == 1


def test_a_video_tested_twice_counts_once(samples):
    assert evaluate(FrameScoreMetric(), samples + samples[:1]) == evaluate(FrameScoreMetric(), samples)


def test_half_precision_and_plain_samples_are_taken(samples):
    samples[0].pred_logits = samples[0].pred_logits.bfloat16()
    metric = FrameScoreMetric()
    metric.process({}, samples)
    assert metric.results[0]['logits'].dtype == np.float32


def test_missing_predictions_ground_truth_and_samples(samples):
    del samples[0].pred_logits
    with pytest.raises(DataError, match="the model predicts no 'pred_logits' for Abuse001"):
        FrameScoreMetric().process({}, samples)
    del samples[1].gt_intervals
    with pytest.raises(DataError, match="the data set gives no 'gt_intervals' for Arson001"):
        FrameScoreMetric().process({}, samples[1:])
    with pytest.raises(DataError, match='no sample was tested'):
        FrameScoreMetric().evaluate(0)
    samples[2].pred_scores = torch.zeros(60, 2)
    with pytest.raises(DataError, match=r'Normal001: pred_scores has the shape \(60, 2\)'):
        FrameScoreMetric().process({}, samples[2:])
    samples[2].pred_scores = torch.zeros(59)
    with pytest.raises(DataError, match='60 pred_logits but 59 pred_scores'):
        FrameScoreMetric().process({}, samples[2:])


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(ap_mode='best'), 'ap_mode'),
        (dict(macro_mode='best'), 'macro_mode'),
        (dict(length_policy='best'), 'length_policy'),
        (dict(far_threshold=50), 'far_threshold is 50'),
        (dict(smoothing='gauss(3)'), 'smoothing is'),
        (dict(rank_by='best'), 'rank_by'),
    ],
)
def test_options_that_do_not_exist(option, message):
    with pytest.raises(ConfigError, match=message):
        FrameScoreMetric(**option)


def test_ranks_by_scores_on_request():
    sample = scored('a', [50.0, 60.0], [[1, 2]], 1)
    metric = FrameScoreMetric(rank_by='scores')
    assert evaluate(metric, [sample])['frame/auc'] == 0.5
    assert 'by score, ties' in metric.protocol['frame/auc']


def test_smoothing_works_on_snippets_and_is_part_of_the_protocol():
    snippets = np.random.default_rng(0).random(9).astype(np.float32)
    sample = scored('a', np.zeros(34), [[8, 20]], 1)
    sample.set_metainfo(dict(snippet_len=4))
    sample.pred_scores = torch.from_numpy(np.repeat(snippets, 4)[:34])
    metric = FrameScoreMetric(smoothing='forward_window(3)')
    labels = np.zeros(34)
    labels[8:20] = 1
    expected = roc_auc_score(labels, np.repeat(forward_window(snippets, 3), 4)[:34])
    assert evaluate(metric, [sample])['frame/auc'] == pytest.approx(expected, abs=1e-12)
    assert 'smoothed over snippets by forward_window(3)' in metric.protocol['frame/auc']
    sample.pred_scores = torch.linspace(0, 1, 34)
    with pytest.raises(
        DataError, match='a: smoothing works on snippets, but scores differ within a snippet of 4 frames'
    ):
        metric.process({}, [sample])
    with pytest.raises(DataError, match="needs 'snippet_len'"):
        metric.process({}, [scored('b', [0.0])])


@pytest.mark.parametrize('value', [0.0, 1.0, 0.37])
@pytest.mark.parametrize('rank_by', ['logits', 'scores'])
def test_scores_that_all_tie_are_told(value, rank_by):
    samples = [scored('Abuse001', np.full(20, value), [[5, 12]], 1), scored('Normal001', np.full(15, value))]
    for sample in samples:
        sample.pred_scores = torch.full_like(sample.pred_logits, value)
    metric = FrameScoreMetric(rank_by=rank_by)
    assert evaluate(metric, samples)['frame/auc'] == 0.5
    assert set(metric.meaningless) == {f'frame/{key}' for key in ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer')}
    assert metric.meaningless['frame/auc'] == f'all 35 frames score {value:.3f}: they tie'
    samples[0].pred_logits[3] += 1
    samples[0].pred_scores[3] += 0.25
    evaluate(metric, samples)
    assert metric.meaningless == {}


def test_videos_that_all_tie_are_told():
    metric = VideoScoreMetric()
    evaluate(metric, [scored('Abuse001', [1.0, 3.0], [[0, 1]], 1), scored('Normal001', [3.0, 2.0])])
    assert metric.meaningless == {'video/auc': 'all 2 videos score 3.000: they tie'}


def test_class_wise_auc_equals_scikit_learn():
    rng = np.random.default_rng(3)
    scores = [np.repeat(rng.dirichlet(np.ones(4), 10), 3, axis=0) for _ in range(3)]
    samples = [
        classified('a', scores[0], [(1, 3, 12), (2, 10, 16)], 1),
        classified('b', scores[1], [(1, 0, 5)], 1),
        classified('c', scores[2]),
    ]
    # A sample that names no class for each interval has them all of its label.
    del samples[1].gt_class_intervals
    masks = np.zeros((90, 3), bool)
    masks[3:12, 1] = masks[10:16, 2] = masks[30:35, 1] = True
    stacked = np.concatenate(scores).astype(np.float32)
    expected = np.mean([roc_auc_score(masks[:, i], stacked[:, i]) for i in (1, 2)])
    metric = FrameScoreMetric()
    numbers = evaluate(metric, samples)
    assert numbers['frame/mauc'] == pytest.approx(expected, abs=1e-12)
    assert (
        set(metric.protocol)
        == set(numbers)
        == {f'frame/{key}' for key in {*metric.higher_is_better} - {'far_calibrated'}}
    )
    assert np.isnan(metric.class_areas).tolist() == [False, False, True]


def test_class_scores_that_do_not_fit():
    fine = classified('a', np.full((6, 3), 1 / 3), [(1, 0, 3)], 1)
    cases = [
        ([fine, scored('b', [0.0])], r'1 of 2 videos have no pred_class_scores \(first: b\)'),
        ([fine, classified('b', np.full((6, 4), 0.25))], '3 or 4 columns in different videos'),
        ([classified('b', np.full((6, 3), 0.3), [(3, 0, 3)], 3)], 'b: an interval has the class index 3.* 3 columns'),
        ([classified('b', np.full((6, 3), np.nan))], 'b: 6 of 6 pred_logits are NaN'),
    ]
    for samples, message in cases:
        with pytest.raises(DataError, match=message):
            evaluate(FrameScoreMetric(), samples)
    fine.pred_class_scores = torch.ones(6)
    with pytest.raises(DataError, match=r'a: pred_class_scores has the shape \(6,\)'):
        evaluate(FrameScoreMetric(), [fine])


def test_anomalies_of_unknown_class_are_left_out_of_mauc():
    unknown = classified('a', np.full((6, 3), 1 / 3), [(1, 0, 3)], -1)
    del unknown.gt_class_intervals
    assert np.isnan(evaluate(FrameScoreMetric(), [unknown])['frame/mauc'])
    fine = classified('b', [[0.2, 0.8]] * 3 + [[0.9, 0.1]] * 3, [(1, 0, 3)], 1)
    assert evaluate(FrameScoreMetric(), [unknown, fine])['frame/mauc'] == 1


def test_scores_that_are_not_finite_name_the_video():
    with pytest.raises(DataError, match='Abuse001: 1 of 3 pred_logits are NaN or infinite'):
        evaluate(FrameScoreMetric(), [scored('Abuse001', [0.0, np.inf, 1.0])])
