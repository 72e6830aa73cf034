import numpy as np
import pytest

from vadlab.evaluation.functional import aligned_iou, grounding_accuracy
from vadlab.utils.errors import DataError


@pytest.mark.parametrize(
    ('box', 'other', 'expected'),
    [
        ([0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], 1),
        ([0, 0, 0.4, 0.4], [0.2, 0, 0.6, 0.4], 1 / 3),
        ([0, 0, 0.4, 0.4], [0.4, 0.4, 0.8, 0.8], 0),
        ([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], 0.25),
        ([0.5, 0.5, 0.1, 0.1], [0, 0, 1, 1], 0),
        ([0.3, 0.3, 0.3, 0.3], [0.3, 0.3, 0.3, 0.3], 0),
    ],
)
def test_iou_by_hand(box, other, expected):
    assert aligned_iou(np.array(box), np.array(other)) == pytest.approx(expected)
    assert aligned_iou(np.array(other), np.array(box)) == pytest.approx(expected)


def test_iou_equals_counting_pixels():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 20, size=(30, 2, 2, 2)), axis=2)
    boxes = corners.reshape(30, 2, 4)
    ys, xs = np.mgrid[:20, :20]

    def inside(box):
        return (xs >= box[0]) & (xs < box[2]) & (ys >= box[1]) & (ys < box[3])

    expected = [(inside(a) & inside(b)).sum() / max((inside(a) | inside(b)).sum(), 1) for a, b in boxes]
    np.testing.assert_allclose(aligned_iou(boxes[:, 0], boxes[:, 1]), expected)


def test_accuracy_counts_an_iou_at_the_threshold():
    assert grounding_accuracy(np.array([0.5, 0.49, 1.0, 0.0])) == 0.5
    assert grounding_accuracy(np.array([0.5, 0.49, 1.0, 0.0]), 0.4) == 0.75


def test_shapes_that_differ():
    with pytest.raises(DataError, match=r'\(2, 4\) and \(3, 4\)'):
        aligned_iou(np.zeros((2, 4)), np.zeros((3, 4)))
