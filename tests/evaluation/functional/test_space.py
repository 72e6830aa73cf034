import numpy as np
import pytest

from vadlab.evaluation.functional import (
    proposal_recall,
    rank_counts,
    space,
    temporal_iou,
    union_area,
    union_iou,
    youden_threshold,
)
from vadlab.utils.errors import DataError


def painted(boxes, valid, size=24):
    ys, xs = np.mgrid[:size, :size]
    mask = np.zeros((size, size), bool)
    for (x1, y1, x2, y2), there in zip(boxes, valid, strict=True):
        if there:
            mask |= (xs >= x1) & (xs < x2) & (ys >= y1) & (ys < y2)
    return mask


@pytest.mark.parametrize('cells', [space._CELLS_AT_ONCE, 50])
def test_union_equals_counting_pixels(monkeypatch, cells):
    monkeypatch.setattr(space, '_CELLS_AT_ONCE', cells)
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 24, size=(20, 4, 4))  # some of them inverted or empty
    boxes = np.sort(rng.integers(0, 24, size=(20, 2, 2)), axis=1).reshape(20, 4)
    valid = rng.random((20, 4)) < 0.7
    areas = [painted(t, v).sum() for t, v in zip(truths, valid, strict=True)]
    np.testing.assert_array_equal(union_area(truths, valid), areas)
    expected = []
    for box, truth, there in zip(boxes, truths, valid, strict=True):
        one, other = painted([box], [True]), painted(truth, there)
        expected.append((one & other).sum() / max((one | other).sum(), 1))
    np.testing.assert_allclose(union_iou(boxes, truths, valid), expected)


def test_union_iou_by_hand():
    truths = np.array([[[0, 0, 2, 2], [1, 0, 3, 2]]]) / 4
    assert union_iou(np.array([[0, 0, 3, 2]]) / 4, truths) == pytest.approx([1])
    assert union_iou(np.array([[0, 0, 3, 2]]) / 4, truths, np.array([[True, False]])) == pytest.approx([2 / 3])
    assert union_iou(np.zeros((1, 4)), np.zeros((1, 0, 4))).tolist() == [0]
    with pytest.raises(DataError, match=r'\(2, 4\) and true ones \(1, 2, 4\)'):
        union_iou(np.zeros((2, 4)), truths)


def test_youden_by_hand():
    counts = rank_counts(np.array([0.9, 0.8, 0.6, 0.4, 0.2]), np.array([1, 0, 1, 0, 0]))
    # tpr - fpr from the top: 1/2, 1/6, 2/3, 1/3, 0.
    assert youden_threshold(counts) == 0.6
    with pytest.warns(UserWarning, match="Youden's threshold is NaN"):
        assert np.isnan(youden_threshold(rank_counts(np.ones(3), np.ones(3))))


def test_temporal_iou_counts_frames_that_are_missed_as_zero():
    ious, scores = np.array([0.5, 1.0, 0.8]), np.array([0.7, 0.2, 0.5])
    assert temporal_iou(ious, scores, 0.5) == pytest.approx((0.5 + 0.8) / 3)
    assert temporal_iou(ious, scores, 0.1) == pytest.approx(ious.mean())
    with pytest.warns(UserWarning, match='TIoU is NaN: no anomalous frame'):
        assert np.isnan(temporal_iou(ious[:0], scores[:0], 0.5))
    with pytest.warns(UserWarning, match='TIoU is NaN: there is no threshold'):
        assert np.isnan(temporal_iou(ious, scores, float('nan')))


def test_recall_of_proposals_by_hand():
    frames = [np.array([[0.5, 0.1], [0.9, 0.0], [0.2, 0.6]]), np.zeros((0, 1)), np.array([[0.49, 0.7]])]
    assert [proposal_recall(frames, k) for k in (1, 2, 3)] == [2 / 5, 2 / 5, 3 / 5]
    assert proposal_recall(frames, 3, 0.8) == 1 / 5
    with pytest.warns(UserWarning, match='recall@2 is NaN'):
        assert np.isnan(proposal_recall([np.zeros((3, 0))], 2))
