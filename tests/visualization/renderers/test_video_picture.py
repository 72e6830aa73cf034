from itertools import pairwise

import numpy as np
import pytest

from vadlab.visualization.renderers.video_picture import (
    MAX_REGIONS,
    choose_tiles,
    draw_video,
    envelope,
    score_range,
)


def test_tiles_by_hand():
    scores = np.array([0.1, 0.9, 0.2, 0.3, 0.5, 0.4])
    no_box = np.zeros(6, bool)
    assert choose_tiles(scores, no_box, 3).tolist() == [1, 3, 4]
    # A frame with a box goes before one with a higher score.
    assert choose_tiles(scores, np.array([1, 0, 1, 1, 0, 1], bool), 3).tolist() == [0, 3, 5]
    assert choose_tiles(scores, no_box, 9).tolist() == [0, 1, 2, 3, 4, 5]


def test_envelope_keeps_every_extreme_of_a_long_curve():
    scores = np.random.default_rng(0).random(100_000)
    x, y = envelope(scores, 1000)
    assert len(x) == len(y) == 1000
    assert (np.diff(x) >= 0).all()
    edges = np.linspace(0, 100_000, 501).astype(int)
    np.testing.assert_array_equal(y[1::2], [scores[a:b].max() for a, b in pairwise(edges)])
    np.testing.assert_array_equal(y[::2], [scores[a:b].min() for a, b in pairwise(edges)])
    assert envelope(scores[:10])[1].tolist() == scores[:10].tolist()


def video(**more):
    return {
        'pred_scores': np.linspace(0, 1, 60),
        'frame_inds': np.arange(0, 60, 10),
        'gt_intervals': np.array([[15, 35]]),
        'video_id': 'Abuse001',
    } | more


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_true_intervals_are_shaded_and_frames_named():
    figure = draw_video(video(fps=20.0, caption='A $5 bill'), np.zeros((6, 8, 8, 3), np.uint8), num_tiles=3)
    curve, *tiles = figure.axes
    shaded = [patch for patch in curve.patches if patch.get_alpha() == 0.16]
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shaded] == [(15, 35)]
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), np.linspace(0, 1, 60))
    assert len(tiles) == 3
    # The highest score of each third.
    assert [text for text in texts(figure) if text.startswith('frame')] == ['frame 10', 'frame 30', 'frame 50']
    assert {'0.5 s', '1.5 s', '2.5 s', 'A $5 bill', 'video score 1.000'} <= set(texts(figure))


def test_boxes_are_drawn_where_there_is_a_true_one():
    true, predicted = np.tile([0.25, 0.5, 0.75, 0.9], (1, 6, 1)), np.tile([0.0, 0.0, 0.5, 0.5], (1, 6, 1))
    valid = np.array([[False, False, False, True, False, False]])
    regions = {'region_captions': ['a man'], 'true_boxes': true, 'predicted_boxes': predicted, 'box_valid': valid}
    figure = draw_video(video(**regions, ori_shape=(120, 160)), np.zeros((6, 8, 8, 3), np.uint8), num_tiles=3)
    boxes = [[patch.get_bbox().extents for patch in axes.patches] for axes in figure.axes[1:]]
    assert [len(tile) for tile in boxes] == [0, 2, 0]
    # In pixels of the video; sides on the border are moved inside by a hundredth to be seen.
    np.testing.assert_allclose(boxes[1], [[40, 60, 120, 108], [1.6, 1.2, 80, 60]])
    assert 'a man' in texts(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['true box', 'predicted box']


def test_many_regions_long_names_and_upright_videos_fit_and_draw():
    count = MAX_REGIONS + 3
    regions = {
        'region_captions': [f'region {i} ' + 'x' * 300 for i in range(count)],
        'true_boxes': np.random.default_rng(0).random((count, 6, 4)),
        'box_valid': np.ones((count, 6), bool),
    }
    sample = video(**regions, video_id='y' * 200, caption='一个人 ' * 99, class_name='Abuse', ori_shape=(1920, 1080))
    figure = draw_video(sample, np.zeros((6, 8, 8, 3), np.uint8))
    figure.canvas.draw()
    assert 'and 3 more' in texts(figure)
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.texts:
        extent = text.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= width
        assert extent.y0 >= 0
        assert extent.y1 <= height


def test_a_video_of_one_frame():
    figure = draw_video({'pred_scores': np.array([0.3])}, np.zeros((1, 8, 8, 3), np.uint8))
    figure.canvas.draw()
    assert len(figure.axes) == 2


def test_scores_of_exactly_0_and_1_lie_inside_the_axes():
    (axes,) = draw_video(video(), np.zeros((0, 8, 8, 3), np.uint8)).axes
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 1


def test_a_curve_without_frames_leaves_no_empty_band():
    none, some = np.zeros((0, 8, 8, 3), np.uint8), np.zeros((6, 8, 8, 3), np.uint8)
    figure = draw_video(video(), none)
    figure.canvas.draw()
    # From below upwards: what is drawn begins near the edge.
    drawn = (np.asarray(figure.canvas.buffer_rgba())[..., :3] < 250).any(axis=(1, 2))
    empty_below = drawn[::-1].argmax() / figure.dpi
    assert empty_below < 0.25
    gaps = np.diff(np.flatnonzero(drawn)).max() / figure.dpi
    assert gaps < 0.4
    with_captions = draw_video(video(region_captions=['a man']), none)
    assert all(text.get_position()[1] > 0 for text in with_captions.texts)
    assert draw_video(video(), some).get_figheight() > figure.get_figheight()


def test_frames_without_numbers_are_spread_over_the_video():
    sample = video()
    del sample['frame_inds']
    figure = draw_video(sample, np.zeros((3, 8, 8, 3), np.uint8), num_tiles=3)
    assert [text for text in texts(figure) if text.startswith('frame')] == ['frame 0', 'frame 29', 'frame 59']


@pytest.mark.parametrize(
    ('scores', 'expected'),
    [
        ([0.0, 0.2], (0.0, 1.0, False)),
        ([0.41, 0.42], (0.41, 0.42, True)),
        ([0.3, 0.3], (0.0, 1.0, False)),
        ([-1.0, 5.0], (-1.0, 5.0, False)),
        ([7.0], (7.0, 8.0, False)),
    ],
)
def test_only_flat_probabilities_are_zoomed(scores, expected):
    assert score_range(np.array(scores)) == expected


@pytest.mark.parametrize(('offset', 'side'), [(0.41, ' (above)'), (0.495, ''), (0.6, ' (below)')])
def test_a_flat_curve_fills_its_axis_which_says_so(offset, side):
    scores = offset + np.linspace(0, 0.01, 60)
    curve = draw_video(video(pred_scores=scores), np.zeros((6, 8, 8, 3), np.uint8)).axes[0]
    bottom, top = curve.get_ylim()
    assert bottom < scores[0] < scores[-1] < top < bottom + 0.013
    assert curve.get_ylabel() == 'score (zoomed)'
    labels = [text.get_text() for text in curve.get_legend().get_texts()]
    assert labels == [f'score, zoomed to {offset:.3f}..{offset + 0.01:.3f}', 'truly anomalous', f'threshold 0.5{side}']
    # The line of the threshold, beside the curve and the points.
    assert len(curve.lines) == 2 + (side == '')


def test_without_a_heading_name_caption_and_score_are_left_to_the_page():
    given = video(fps=20.0, caption='a crowd', class_name='Riot')
    frames = np.zeros((6, 8, 8, 3), np.uint8)
    plain, bare = draw_video(given, frames, num_tiles=3), draw_video(given, frames, num_tiles=3, heading=False)
    assert set(texts(plain)) - set(texts(bare)) == {'Abuse001', 'a crowd', 'Riot', 'video score 1.000'}
    assert bare.get_figheight() < plain.get_figheight() - 0.8
