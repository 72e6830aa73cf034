"""Tracks of boxes that were placed by hand."""

import numpy as np

from vadlab.evaluation.functional.box_tracks import link_boxes


def test_two_objects_that_move_keep_their_numbers():
    frames = np.repeat(np.arange(5) * 16, 2)
    left = [[i, 0, i + 10, 10] for i in range(5)]
    right = [[50 - i, 0, 60 - i, 10] for i in range(5)]
    boxes = np.array([box for pair in zip(left, right, strict=True) for box in pair])
    assert link_boxes(frames, boxes).tolist() == [0, 1] * 5
    swapped = np.array([box for i, pair in enumerate(zip(left, right, strict=True)) for box in pair[:: (-1) ** i]])
    assert link_boxes(frames, swapped).tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1]


def test_a_far_box_starts_a_track_and_a_missing_one_is_waited_for():
    box, far = [0, 0, 10, 10], [100, 0, 110, 10]
    assert link_boxes([0, 1], [box, far]).tolist() == [0, 1]
    # Frames 1 to 3 have another object only: three frames without a box end the track, two do not.
    assert link_boxes([0, 1, 2, 3], [box, far, far, box]).tolist() == [0, 1, 1, 0]
    assert link_boxes([0, 1, 2, 3, 4], [box, far, far, far, box]).tolist() == [0, 1, 1, 1, 2]
    assert link_boxes([0, 1, 2], [box, far, box], max_missed=0).tolist() == [0, 1, 2]


def test_boxes_of_other_labels_are_not_linked():
    box = [0, 0, 10, 10]
    assert link_boxes([0, 1], [box, box], np.array(['a man', 'a car'])).tolist() == [0, 1]
    assert link_boxes(np.zeros(0), np.zeros((0, 4))).tolist() == []


def test_the_assignment_has_the_largest_sum_not_the_first_match():
    # Both old boxes overlap with the new one in the middle, which the second one needs: the first has another.
    old = [[0, 0, 10, 10], [6, 0, 16, 10]]
    new = [[4, 0, 14, 10], [-2, 0, 8, 10]]
    assert link_boxes([0, 0, 1, 1], old + new, min_iou=0.1).tolist() == [0, 1, 1, 0]
