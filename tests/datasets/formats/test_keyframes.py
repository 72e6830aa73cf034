import numpy as np
import pytest

from vadlab.datasets.formats.keyframes import merge_intervals, shown_spans, track_boxes


def naive_box(region, t):
    """One frame at a time, by the words of the specification."""
    if not region['start_frame'] <= t <= region['end_frame']:
        return None
    keyframes = sorted(region['keyframes'], key=lambda k: k['frame'])
    shown = False
    for i, keyframe in enumerate(keyframes):
        following = keyframes[i + 1] if i + 1 < len(keyframes) else None
        was_shown, shown = shown, keyframe['enabled']
        if t == keyframe['frame']:
            return keyframe['bbox'] if shown or was_shown else None
        if t > keyframe['frame'] and shown:
            if following is None:
                return keyframe['bbox']
            if t < following['frame']:
                share = (t - keyframe['frame']) / (following['frame'] - keyframe['frame'])
                pairs = zip(keyframe['bbox'], following['bbox'], strict=True)
                return [a + share * (b - a) for a, b in pairs]
    return None


def test_interpolated_box_by_hand(region):
    boxes, valid = track_boxes(region, np.array([9, 10, 15, 20, 21, 29, 30, 35, 40, 41]))
    assert valid.tolist() == [False, True, True, True, False, False, True, True, True, False]
    np.testing.assert_allclose(boxes[2], [0.15, 0.2, 0.55, 0.6], rtol=1e-6)
    np.testing.assert_allclose(boxes[3], [0.2, 0.2, 0.6, 0.6], rtol=1e-6)
    assert not boxes[~valid].any()
    assert boxes.dtype == np.float32


def test_enabled_last_keyframe_holds_until_end_frame(region):
    region['keyframes'][3]['enabled'] = True
    region['end_frame'] = 50
    boxes, valid = track_boxes(region, np.array([45, 50, 51]))
    assert valid.tolist() == [True, True, False]
    np.testing.assert_allclose(boxes[0], [0.5, 0.5, 0.9, 0.9], rtol=1e-6)


def test_nothing_outside_start_and_end(region):
    region.update(start_frame=12, end_frame=35)
    _, valid = track_boxes(region, np.arange(60))
    assert np.flatnonzero(valid).tolist() == [*range(12, 21), *range(30, 36)]


def test_no_keyframes_no_boxes(region):
    region['keyframes'] = []
    boxes, valid = track_boxes(region, np.arange(5))
    assert boxes.shape == (5, 4)
    assert not valid.any()
    assert shown_spans(region).shape == (0, 2)


@pytest.mark.parametrize('seed', range(40))
def test_boxes_and_spans_equal_a_loop_over_frames(seed):
    generator = np.random.default_rng(seed)
    frames = generator.choice(40, size=generator.integers(1, 8), replace=False)  # in any order
    start, end = sorted(generator.integers(0, 45, 2).tolist())
    region = {
        'start_frame': start,
        'end_frame': end,
        'keyframes': [
            {'frame': int(f), 'bbox': generator.random(4).tolist(), 'enabled': bool(generator.random() < 0.6)}
            for f in frames
        ],
    }
    inds = generator.permutation(50)
    boxes, valid = track_boxes(region, inds)
    expected = [naive_box(region, t) for t in inds.tolist()]
    assert valid.tolist() == [box is not None for box in expected]
    for box, wanted in zip(boxes, expected, strict=True):
        np.testing.assert_allclose(box, wanted or [0] * 4, atol=1e-6)
    in_spans = {t for s, e in shown_spans(region).tolist() for t in range(s, e)}
    assert in_spans == {t for t in range(50) if naive_box(region, t) is not None}


def test_merge_intervals_joins_what_overlaps_or_touches():
    merged = merge_intervals(np.array([[8, 9], [0, 3], [3, 5], [2, 4]]))
    assert merged.tolist() == [[0, 5], [8, 9]]
