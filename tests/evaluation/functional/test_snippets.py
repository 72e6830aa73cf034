import numpy as np
import pytest

from vadlab.evaluation.functional import (
    Smoothing,
    fixed_blocks,
    forward_window,
    frame_to_snippet,
    reduce_crops,
    snippet_to_frame,
)
from vadlab.utils.errors import ConfigError, DataError


def test_snippet_scores_repeat_for_their_frames():
    assert snippet_to_frame(np.array([0.1, 0.9]), 3).tolist() == [0.1, 0.1, 0.1, 0.9, 0.9, 0.9]
    classes = snippet_to_frame(np.array([[1, 2], [3, 4]], np.float32), 2)
    assert classes.tolist() == [[1, 2], [1, 2], [3, 4], [3, 4]]
    assert classes.dtype == np.float32


def test_linear_between_middles_by_hand():
    # Middles of 4-frame snippets: 1.5 and 5.5.
    assert snippet_to_frame(np.array([0.0, 1.0]), 4, 'linear').tolist() == [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    classes = snippet_to_frame(np.array([[0.0, 1.0], [1.0, 0.0]]), 4, 'linear')
    np.testing.assert_allclose(classes.sum(axis=1), 1)
    assert snippet_to_frame(np.array([0.3]), 2, 'linear').tolist() == [0.3, 0.3]


def test_frames_back_to_snippets():
    scores = np.random.default_rng(0).random((5, 3))
    np.testing.assert_array_equal(frame_to_snippet(snippet_to_frame(scores, 4)[:-3], 4), scores)
    with pytest.raises(DataError, match=r'differ within a snippet of 2 frames \(first at frame 3\)'):
        frame_to_snippet(np.array([1, 1, 2, 3, 3]), 2)


def test_crops_by_mean_and_by_number():
    crops = np.array([[0.0, 1.0], [0.5, 0.0], [1.0, 0.5]])
    assert reduce_crops(crops).tolist() == [0.5, 0.5]
    assert reduce_crops(crops, 2).tolist() == [1.0, 0.5]
    with pytest.raises(DataError, match='no crop 3; the crops are 0 to 2'):
        reduce_crops(crops, 3)
    with pytest.raises(DataError, match='no crop to take'):
        reduce_crops(crops[:0])


def test_smoothing_by_hand():
    scores = np.array([3.0, 0.0, 6.0, 9.0])
    # Zeros stand for what follows the end, and fill the last block.
    assert forward_window(scores, 3).tolist() == [3, 5, 5, 3]
    assert fixed_blocks(scores, 3).tolist() == [3, 3, 3, 3]
    assert fixed_blocks(scores, 2).tolist() == [1.5, 1.5, 7.5, 7.5]
    assert forward_window(scores, 6).tolist() == [3, 2.5, 2.5, 1.5]
    assert fixed_blocks(scores[:, None] * [1, 2], 4).tolist() == [[4.5, 9]] * 4


def test_smoothing_equals_summing_each_window():
    scores = np.random.default_rng(1).random(29)
    for size in (2, 7, 40):
        expected = [sum(scores[i : i + size]) / size for i in range(29)]
        np.testing.assert_allclose(forward_window(scores, size), expected, atol=1e-15)
        blocks = [sum(scores[i // size * size : (i // size + 1) * size]) / size for i in range(29)]
        np.testing.assert_allclose(fixed_blocks(scores, size), blocks, atol=1e-15)


def test_equal_windows_stay_ties():
    scores = np.tile([0.1, 0.7, 0.2], 40)
    assert len(np.unique(forward_window(scores, 4)[:-3])) == 3


@pytest.mark.parametrize('text', ['forward_window(7)', 'forward_window:7'])
def test_smoothing_is_written_two_ways(text):
    smoothing = Smoothing.parse(text)
    assert str(smoothing) == 'forward_window(7)'
    np.testing.assert_array_equal(smoothing(np.arange(9)), forward_window(np.arange(9), 7))
    assert str(Smoothing.parse('fixed_blocks(8)')) == 'fixed_blocks(8)'


def test_no_smoothing():
    assert [Smoothing.parse(text) for text in (None, 'none', 'off')] == [None, None, None]


@pytest.mark.parametrize('text', ['gauss(3)', 'forward_window', 'forward_window(1)', 'fixed_blocks(x)', '7'])
def test_smoothing_that_is_not_known(text):
    with pytest.raises(ConfigError, match=r'choose none, forward_window\(K\), fixed_blocks\(K\)'):
        Smoothing.parse(text)


def test_impossible_expansions():
    with pytest.raises(ConfigError, match='repeat, linear'):
        snippet_to_frame(np.ones(2), mode='cubic')
    with pytest.raises(ConfigError, match='snippet_len is 0'):
        snippet_to_frame(np.ones(2), 0)
    with pytest.raises(DataError, match='no snippet'):
        snippet_to_frame(np.zeros(0))
