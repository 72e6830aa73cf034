import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlab.evaluation.functional import ano_auc, false_alarm_rate, macro_auc, video_score
from vadlab.utils.errors import ConfigError, DataError


@pytest.fixture
def videos():
    rng = np.random.default_rng(0)
    labels = [rng.random(length) < 0.3 for length in (50, 80, 33)] + [np.zeros(40, bool), np.ones(20, bool)]
    scores = [rng.integers(0, 20, size=len(label)) / 20 for label in labels]
    return scores, labels


def test_ano_auc_equals_scikit_learn_without_the_normal_video(videos):
    scores, labels = videos
    kept = [0, 1, 2, 4]
    expected = roc_auc_score(np.concatenate([labels[i] for i in kept]), np.concatenate([scores[i] for i in kept]))
    assert ano_auc(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_macro_auc_modes_equal_scikit_learn_per_video(videos):
    scores, labels = videos
    plain = [roc_auc_score(labels[i], scores[i]) for i in range(3)]
    assert macro_auc(scores, labels) == pytest.approx(np.mean(plain), abs=1e-12)
    prepended = plain + [roc_auc_score([0, *labels[4]], [0, *scores[4]])]
    assert macro_auc(scores, labels, 'prepend_normal') == pytest.approx(np.mean(prepended), abs=1e-12)
    padded = [roc_auc_score([0, *y, 1], [0, *x, 1]) for x, y in zip(scores, labels, strict=True)]
    assert macro_auc(scores, labels, 'pad01') == pytest.approx(np.mean(padded), abs=1e-12)
    assert len({macro_auc(scores, labels, mode) for mode in ('skip', 'prepend_normal', 'pad01')}) == 3


def test_false_alarm_rate_by_hand():
    scores = [np.array([0.5, 0.49, 0.9, 0.1]), np.array([0.7]), np.array([0.9, 0.9])]
    labels = [np.zeros(4, bool), np.zeros(1, bool), np.array([False, True])]
    assert false_alarm_rate(scores, labels) == 3 / 5
    assert false_alarm_rate(scores, labels, threshold=0.8) == 1 / 5


def test_video_score_by_hand():
    scores = np.arange(33, dtype=np.float32)[::-1].copy()
    assert video_score(scores) == 32
    assert video_score(scores, 'top_mean') == (32 + 31) / 2
    assert video_score(scores[-5:], 'top_mean') == 4


def test_nothing_to_measure_is_nan_with_a_warning():
    normal, anomalous = [np.zeros(3, bool)], [np.ones(3, bool)]
    scores = [np.array([0.1, 0.2, 0.3])]
    for measure, labels, message in (
        (ano_auc, normal, 'Ano-AUC is NaN: no video has an anomalous frame'),
        (ano_auc, anomalous, 'there is no normal frame'),
        (macro_auc, normal, 'macro AUC is NaN'),
        (false_alarm_rate, anomalous, 'FAR is NaN'),
    ):
        with pytest.warns(UserWarning, match=message):
            assert np.isnan(measure(scores, labels))


def test_unknown_modes_empty_video_and_scores_out_of_range():
    scores, labels = [np.array([-1.0, 2.0])], [np.array([False, True])]
    with pytest.raises(ConfigError, match='skip, prepend_normal, pad01'):
        macro_auc(scores, labels, 'all')
    for mode in ('prepend_normal', 'pad01'):
        with pytest.raises(DataError, match=r'needs scores in 0\.\.1, not -1\.\.2'):
            macro_auc(scores, labels, mode)
    with pytest.raises(ConfigError, match='max, top_mean'):
        video_score(scores[0], 'mean')
    with pytest.raises(DataError, match='without frames'):
        video_score(np.zeros(0))
