import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlab.evaluation.functional import class_masks, class_wise_auc, mean_class_auc
from vadlab.utils.errors import DataError


def test_masks_by_hand():
    masks = class_masks([(2, 1, 3), (1, 2, 9), (2, -4, 1)], 4, 3)
    assert masks.astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 1, 0]]
    assert class_masks([], 2, 3)[:, 0].all()
    for index in (0, 3):
        with pytest.raises(DataError, match=f'class index {index}; anomaly classes are 1 to 2'):
            class_masks([(index, 0, 1)], 4, 3)


def test_one_against_rest_equals_scikit_learn():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.random((60, 5)), 4, axis=0).astype(np.float32)
    masks = class_masks([(1, 3, 30), (2, 20, 51), (4, 100, 140)], 240, 5)
    areas = class_wise_auc(scores, masks)
    expected = [roc_auc_score(masks[:, i], scores[:, i]) for i in (1, 2, 4)]
    np.testing.assert_allclose(areas[[0, 1, 3]], expected, rtol=0, atol=1e-12)
    # No frame is of class 3: it is left out of the mean, and Normal never enters.
    assert np.isnan(areas[2])
    assert mean_class_auc(areas) == pytest.approx(np.mean(expected), abs=1e-12)


def test_weights_equal_repeating_rows():
    rng = np.random.default_rng(1)
    scores, masks = rng.random((40, 3)), class_masks([(1, 0, 9), (2, 20, 30)], 40, 3)
    weights = rng.integers(1, 6, 40)
    repeated = class_wise_auc(np.repeat(scores, weights, axis=0), np.repeat(masks, weights, axis=0))
    np.testing.assert_allclose(class_wise_auc(scores, masks, weights), repeated, atol=1e-14)


def test_no_class_has_frames():
    areas = class_wise_auc(np.ones((4, 3)), class_masks([], 4, 3))
    with pytest.warns(UserWarning, match='mAUC is NaN: no anomaly class has frames'):
        assert np.isnan(mean_class_auc(areas))


def test_shapes_that_differ():
    with pytest.raises(DataError, match=r'\(4, 3\), their truth \(4, 2\)'):
        class_wise_auc(np.ones((4, 3)), np.ones((4, 2)))
