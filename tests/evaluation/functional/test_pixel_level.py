import numpy as np
import pytest

from vadlab.evaluation.functional.pixel_level import pixel_level_auc, pixel_level_scores


def test_a_frame_counts_when_forty_percent_of_its_pixels_are_covered():
    masks = np.zeros((3, 10, 10), bool)
    masks[1, 0, :] = True  # ten pixels
    frames = np.array([0, 1, 1, 1])
    boxes = np.array([[0, 0, 9, 9], [0, 5, 9, 9], [0, 0, 2, 0], [3, 0, 3, 0]])
    # The best box misses, the next covers three pixels, the third one more: 40 %.
    levels, labels = pixel_level_scores(masks, frames, boxes, np.array([0.5, 0.9, 0.8, 0.7]))
    assert levels.tolist() == [0.5, 0.7, -np.inf]
    assert labels.tolist() == [False, True, False]
    assert pixel_level_scores(masks, frames, boxes, np.array([0.5, 0.9, 0.8, 0.7]), coverage=0.3)[0][1] == 0.8


def test_boxes_beyond_the_picture():
    masks = np.ones((1, 4, 4), bool)
    levels, _ = pixel_level_scores(
        masks, np.array([0, 0]), np.array([[-9, -9, -2, -2], [-1, -1, 9, 9]]), np.array([2, 1])
    )
    assert levels.tolist() == [1]


def test_lost_frames_are_below_all_others():
    labels = np.array([True, True, False, False])
    assert pixel_level_auc(np.array([3.0, -np.inf, 2.0, -np.inf]), labels) == pytest.approx(0.5)
    assert pixel_level_auc(np.array([3.0, 2.5, 2.0, -np.inf]), labels) == 1
    assert pixel_level_auc(np.full(4, -np.inf), labels) == 0
    with pytest.warns(UserWarning, match='frames are of one class'):
        assert np.isnan(pixel_level_auc(np.ones(2), np.ones(2, bool)))
