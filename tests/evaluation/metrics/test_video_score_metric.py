import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlab.evaluation.metrics.video_score_metric import VideoScoreMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import evaluate, scored


@pytest.mark.parametrize('mode', ['max', 'top_mean'])
def test_auc_equals_scikit_learn(mode):
    rng = np.random.default_rng(1)
    samples = [scored(f'v{i}', rng.normal(size=48), label=label) for i, label in enumerate([0, 1, 0, 5, -1, 0, 2, 0])]
    expected = {
        'max': [sample.pred_logits.max() for sample in samples],
        'top_mean': [sample.pred_scores.sort().values[-3:].mean() for sample in samples],
    }[mode]
    auc = roc_auc_score([sample.gt_label != 0 for sample in samples], expected)
    metric = VideoScoreMetric(mode)
    assert evaluate(metric, samples) == {'video/auc': pytest.approx(auc, abs=1e-12)}
    assert 0 < auc < 1
    assert set(metric.protocol) == {'video/auc'}


def test_one_class_missing_label_empty_set_and_unknown_mode():
    assert np.isnan(evaluate(VideoScoreMetric(), [scored('a', [1.0])])['video/auc'])
    sample = scored('a', [1.0])
    del sample.gt_label
    with pytest.raises(DataError, match="the data set gives no 'gt_label' for a"):
        VideoScoreMetric().process({}, [sample])
    with pytest.raises(DataError, match='no sample was tested'):
        VideoScoreMetric().evaluate(0)
    with pytest.raises(ConfigError, match='max, top_mean'):
        VideoScoreMetric('mean')


def test_ranks_by_scores_on_request():
    samples = [scored('a', [50.0]), scored('b', [60.0], label=1)]
    metric = VideoScoreMetric(rank_by='scores')
    assert evaluate(metric, samples) == {'video/auc': 0.5}
    assert 'highest frame score' in metric.protocol['video/auc']
    assert 'not by intervals' in metric.protocol['video/auc']
    assert evaluate(VideoScoreMetric(), samples) == {'video/auc': 1.0}
    with pytest.raises(ConfigError, match='logits, scores'):
        VideoScoreMetric(rank_by='ranks')


def test_the_former_name_of_logits_is_understood():
    assert VideoScoreMetric(rank_by='margins').field == 'pred_logits'
