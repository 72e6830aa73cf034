import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from vadlab.evaluation.functional import classification as ours
from vadlab.utils.errors import DataError

RNG = np.random.default_rng(0)
NAN = float('nan')


def single(clips=60, classes=5, lacking=()):
    """Scores with ties, and labels that never are one of ``lacking``."""
    scores = RNG.random((clips, classes)).round(1)
    labels = RNG.choice([k for k in range(classes) if k not in lacking], clips)
    return scores, labels


def test_by_hand():
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    labels = np.array([0, 0, 1, 1])
    assert ours.top_1(scores, labels) == 0.5
    np.testing.assert_array_equal(ours.confusion_matrix(scores, labels), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    f1 = ours.class_f1(ours.predicted_labels(scores), labels)
    np.testing.assert_array_equal(f1, [0.5, 0.5, NAN])
    # Class 0: ranked 0.7 (right), 0.6 (wrong), 0.4 (right): (1 + 2/3) / 2. Class 1: 0.7 right, 0.5 wrong, 0.3 right.
    precision = ours.class_average_precision(scores, labels)
    np.testing.assert_allclose(precision, [5 / 6, 5 / 6, NAN])
    assert ours.mean_over_classes(precision) == (pytest.approx(5 / 6), 1)


@pytest.mark.parametrize('lacking', [(), (1,), (0, 3)])
def test_single_label_measures_equal_scikit_learn(lacking):
    scores, labels = single(lacking=lacking)
    there = sorted(set(labels.tolist()))
    decided = scores.argmax(1)
    assert ours.top_1(scores, labels) == sklearn_metrics.accuracy_score(labels, decided)
    np.testing.assert_array_equal(
        ours.confusion_matrix(scores, labels), sklearn_metrics.confusion_matrix(labels, decided, labels=range(5))
    )
    f1, skipped = ours.mean_over_classes(ours.class_f1(ours.predicted_labels(scores), labels))
    assert f1 == pytest.approx(
        sklearn_metrics.f1_score(labels, decided, labels=there, average='macro', zero_division=0), abs=1e-12
    )
    precision, also = ours.mean_over_classes(ours.class_average_precision(scores, labels))
    expected = [sklearn_metrics.average_precision_score(labels == k, scores[:, k]) for k in there]
    assert precision == pytest.approx(np.mean(expected), abs=1e-12)
    assert skipped == also == len(lacking)


def test_multi_label_measures_equal_scikit_learn():
    scores = RNG.random((80, 6)).round(2)
    truth = RNG.random((80, 6)) < 0.3
    truth[:, 4] = False
    truth[:, 5] = True  # a class that every clip is of has an average precision of 1, not NaN
    decided = ours.predicted_labels(scores, multi_label=True)
    there = [0, 1, 2, 3, 5]
    expected = sklearn_metrics.f1_score(truth, scores >= 0.5, labels=there, average='macro', zero_division=0)
    assert ours.mean_over_classes(ours.class_f1(decided, truth)) == (pytest.approx(expected, abs=1e-12), 1)
    precision = ours.class_average_precision(scores, truth)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        expected = sklearn_metrics.average_precision_score(truth[:, there], scores[:, there], average=None)
    np.testing.assert_allclose(precision[there], expected, atol=1e-12)
    assert np.isnan(precision[4])
    assert ours.top_1(scores, truth) == truth[np.arange(80), scores.argmax(1)].mean()


def test_a_clip_of_several_labels_counts_under_each_in_the_confusion():
    scores = np.array([[0.9, 0.2, 0.1], [0.1, 0.2, 0.8]])
    truth = np.array([[1, 1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(ours.confusion_matrix(scores, truth), [[1, 0, 1], [0, 1, 1], [0, 0, 0]])


def test_no_class_at_all_is_nan_and_a_label_matrix_is_read_as_indices_are():
    assert np.isnan(ours.mean_over_classes(np.array([NAN, NAN]))[0])
    scores, labels = single()
    matrix = ours.label_matrix(labels, 5)
    np.testing.assert_array_equal(
        ours.class_average_precision(scores, labels), ours.class_average_precision(scores, matrix)
    )


def test_inputs_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r'labels are 0\.\.5; of 5 classes'):
        ours.top_1(np.zeros((2, 5)), np.array([0, 5]))
    with pytest.raises(DataError, match=r'shape \(2, 4\); expected'):
        ours.top_1(np.zeros((2, 5)), np.zeros((2, 4)))
    with pytest.raises(DataError, match='2 clips have scores, 3 have labels'):
        ours.class_f1(np.zeros((2, 5)), np.array([0, 1, 2]))
    with pytest.raises(DataError, match='a row for each clip'):
        ours.confusion_matrix(np.zeros((0, 5)), np.zeros(0, int))
    with pytest.raises(DataError, match='1 of 2 clips have scores that are NaN'):
        ours.class_average_precision(np.array([[0.5, NAN], [0.1, 0.2]]), np.array([0, 1]))
