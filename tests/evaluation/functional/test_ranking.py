import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.interpolate import interp1d
from scipy.optimize import brentq

from vadlab.evaluation.functional import (
    average_precision,
    equal_error_rate,
    precision_recall_curve,
    rank_counts,
    roc_auc,
    roc_curve,
    run_starts,
)
from vadlab.utils.errors import ConfigError, DataError

CASES = {
    'continuous float32': (2000, None, np.float32, 0.1),
    'many ties': (2000, 11, np.float64, 0.3),
    'only two scores': (500, 2, np.float32, 0.5),
    'constant': (100, 1, np.float64, 0.4),
    'integers': (300, 7, np.int64, 0.2),
    'rare': (3000, None, np.float64, 0.002),
}


def draw(case, seed=0):
    count, levels, dtype, share = CASES[case]
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < share
    labels[:2] = [True, False]
    scores = rng.normal(size=count) + labels if levels is None else rng.integers(levels, size=count) - 3
    return scores.astype(dtype), labels


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('seed', range(3))
def test_auc_and_step_ap_equal_scikit_learn(case, seed):
    scores, labels = draw(case, seed)
    counts = rank_counts(scores, labels)
    assert roc_auc(counts) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(counts) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize('case', CASES)
def test_trapezoid_ap_equals_area_under_scikit_learns_curve(case):
    scores, labels = draw(case)
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    counts = rank_counts(scores, labels)
    assert average_precision(counts, 'trapezoid') == pytest.approx(sk.auc(recall, precision), abs=1e-12)


@pytest.mark.parametrize('case', CASES)
def test_curves_equal_scikit_learn(case):
    scores, labels = draw(case)
    counts = rank_counts(scores, labels)
    fpr, tpr, thresholds = sk.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc_curve(counts), (fpr, tpr), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(counts.thresholds, thresholds[1:])
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(precision_recall_curve(counts), (precision[::-1], recall[::-1]), rtol=0, atol=1e-12)


@pytest.mark.parametrize('case', CASES)
def test_eer_equals_root_finding_on_scikit_learns_curve(case):
    scores, labels = draw(case)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    # At a vertical step the interpolation keeps one of the points only; nudging makes it a function.
    curve = interp1d(fpr + np.arange(len(fpr)) * 1e-13, tpr, bounds_error=False, fill_value=(0, 1))
    expected = brentq(lambda x: 1 - x - curve(x), 0, 1)
    assert equal_error_rate(rank_counts(scores, labels)) == pytest.approx(expected, abs=1e-8)


def test_auc_equals_counting_all_pairs():
    scores, labels = draw('many ties')
    better = scores[labels][:, None] - scores[~labels][None]
    assert roc_auc(rank_counts(scores, labels)) == pytest.approx((np.sign(better) + 1).mean() / 2, abs=1e-14)


def test_by_hand():
    # From the top: anomalous, {anomalous, normal} tied, normal.
    counts = rank_counts(np.array([0.1, 0.5, 0.5, 0.9]), np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(counts.thresholds, [0.9, 0.5, 0.1])
    np.testing.assert_array_equal(counts.positives, [1, 2, 2])
    np.testing.assert_array_equal(counts.negatives, [0, 1, 2])
    assert roc_auc(counts) == 3.5 / 4
    assert average_precision(counts) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(counts, 'trapezoid') == pytest.approx(0.5 * 1 + 0.5 * (1 + 2 / 3) / 2)
    # The ROC runs (0, 0), (0, 0.5), (0.5, 1), (1, 1) and crosses the diagonal of equal errors at 0.25.
    assert equal_error_rate(counts) == 0.25


def test_perfect_reversed_and_constant_scores():
    labels = np.array([0, 0, 1, 1])
    for scores, auc, eer in (([0, 1, 2, 3], 1, 0), ([3, 2, 1, 0], 0, 1), ([5, 5, 5, 5], 0.5, 0.5)):
        counts = rank_counts(np.array(scores), labels)
        assert roc_auc(counts) == auc
        assert equal_error_rate(counts) == eer


@pytest.mark.parametrize('dtype', [np.int64, np.float64])
def test_weights_equal_repeating_each_entry(dtype):
    scores, labels = draw('many ties')
    repeats = np.random.default_rng(1).integers(1, 17, size=scores.size)
    weighted = rank_counts(scores, labels, repeats.astype(dtype))
    repeated = rank_counts(np.repeat(scores, repeats), np.repeat(labels, repeats))
    np.testing.assert_array_equal(weighted.positives, repeated.positives)
    np.testing.assert_array_equal(weighted.negatives, repeated.negatives)
    assert roc_auc(weighted) == pytest.approx(roc_auc(repeated), abs=1e-14)
    assert average_precision(weighted) == pytest.approx(average_precision(repeated), abs=1e-14)


@pytest.mark.parametrize('case', CASES)
def test_stretches_of_equal_frames_are_ranked_as_the_frames_are(case):
    scores, labels = (np.repeat(array, 16)[:-5] for array in draw(case))
    labels[7:40] = True  # a boundary inside a snippet
    counts = rank_counts(scores, labels)
    assert roc_auc(counts) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(counts) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    assert counts.positives.dtype == np.int64
    assert counts.positives[-1] == labels.sum()


def test_starts_of_stretches_by_hand():
    assert run_starts(np.array([3, 3, 5, 5, 5, 3])).tolist() == [0, 2, 5]
    assert run_starts(np.array([3, 3, 5]), np.array([0, 1, 1])).tolist() == [0, 1, 2]
    assert run_starts(np.array([[1, 2], [1, 2], [1, 3]])).tolist() == [0, 2]
    assert run_starts(np.array([7])).tolist() == [0]


def test_a_large_input_does_not_overflow():
    labels = np.arange(1_000_000) % 2 == 0
    assert roc_auc(rank_counts(labels.astype(np.float32), labels)) == 1


@pytest.mark.parametrize(('label', 'kind'), [(0, 'anomalous'), (1, 'normal')])
@pytest.mark.parametrize('measure', [roc_auc, average_precision, equal_error_rate])
def test_one_class_is_nan_with_a_warning(measure, label, kind):
    counts = rank_counts(np.array([0.1, 0.2]), np.full(2, label))
    with pytest.warns(UserWarning, match=f'is NaN: there is no {kind} frame'):
        assert np.isnan(measure(counts))


@pytest.mark.parametrize(
    ('scores', 'labels', 'weights', 'message'),
    [
        ([], [], None, 'no score to rank'),
        ([0.1, 0.2], [1], None, r'shape \(2,\) and labels \(1,\)'),
        ([[0.1, 0.2]], [[1, 0]], None, r'expected \(N,\)'),
        ([0.1, np.nan, np.inf], [1, 0, 1], None, '2 of 3 scores are NaN or infinite'),
        ([0.1, 0.2], [1, 2], None, 'labels hold other values'),
        ([0.1, 0.2], [1, 0], [1], r'weights have the shape \(1,\)'),
        ([0.1, 0.2], [1, 0], [1, 0], 'all above 0'),
    ],
)
def test_input_that_cannot_be_ranked(scores, labels, weights, message):
    with pytest.raises(DataError, match=message):
        rank_counts(np.array(scores), np.array(labels), weights)


def test_unknown_ap_mode():
    with pytest.raises(ConfigError, match='step, trapezoid'):
        average_precision(rank_counts(np.array([1, 2]), np.array([0, 1])), 'interpolated')
