import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from sklearn.metrics import average_precision_score, roc_auc_score

from vadlab.evaluation.metrics import FrameScoreMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import evaluate, scored


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
    margins = [sample.pred_margins.numpy() for sample in samples]
    numbers = evaluate(FrameScoreMetric(), samples)
    everything = np.concatenate(labels), np.concatenate(margins)
    assert set(numbers) == {f'frame/{key}' for key in ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer', 'far')}
    assert numbers['frame/auc'] == pytest.approx(roc_auc_score(*everything), abs=1e-12)
    assert numbers['frame/ap'] == pytest.approx(average_precision_score(*everything), abs=1e-12)
    ano = roc_auc_score(np.concatenate(labels[:2]), np.concatenate(margins[:2]))
    assert numbers['frame/ano_auc'] == pytest.approx(ano, abs=1e-12)
    macro = np.mean([roc_auc_score(labels[i], margins[i]) for i in range(2)])
    assert numbers['frame/macro_auc'] == pytest.approx(macro, abs=1e-12)
    assert numbers['frame/far'] == (margins[2] >= 0).mean()
    assert 0 < numbers['frame/eer'] < 1


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
    assert set(metric.protocol) == {f'frame/{key}' for key in metric.higher_is_better if key != 'mauc'}
    assert 'pad01' in metric.protocol['frame/macro_auc']
    assert 'truncate' in metric.protocol['frame/auc']
    assert 'matlab' not in metric.protocol['frame/auc']
    metric.dataset_meta = {'interval_mode': 'matlab'}
    assert 'intervals matlab' in metric.protocol['frame/auc']
    assert '0.25' in metric.protocol['frame/far']


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
    assert len(metric.results[0]['labels']) == len(metric.results[0]['margins']) == frames
    assert metric.evaluate(1)['frame/auc'] == 1


def test_one_class_is_nan_and_no_crash():
    numbers = evaluate(FrameScoreMetric(), [scored('a', [0.0, 1.0])])
    assert np.isnan([numbers[f'frame/{key}'] for key in ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer')]).all()
    assert numbers['frame/far'] == 1


def test_a_video_tested_twice_counts_once(samples):
    assert evaluate(FrameScoreMetric(), samples + samples[:1]) == evaluate(FrameScoreMetric(), samples)


def test_half_precision_and_plain_samples_are_taken(samples):
    samples[0].pred_margins = samples[0].pred_margins.bfloat16()
    metric = FrameScoreMetric()
    metric.process({}, samples)
    assert metric.results[0]['margins'].dtype == np.float32


def test_missing_predictions_ground_truth_and_samples(samples):
    del samples[0].pred_margins
    with pytest.raises(DataError, match="the model predicts no 'pred_margins' for Abuse001"):
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
    with pytest.raises(DataError, match='60 pred_margins but 59 pred_scores'):
        FrameScoreMetric().process({}, samples[2:])


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(ap_mode='best'), 'ap_mode'),
        (dict(macro_mode='best'), 'macro_mode'),
        (dict(length_policy='best'), 'length_policy'),
        (dict(far_threshold=50), 'far_threshold is 50'),
    ],
)
def test_options_that_do_not_exist(option, message):
    with pytest.raises(ConfigError, match=message):
        FrameScoreMetric(**option)
