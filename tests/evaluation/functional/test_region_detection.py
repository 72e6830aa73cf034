import numpy as np
import pytest

from vadlab.evaluation.functional import Detections, Tracks, region_curves
from vadlab.utils.errors import DataError


def detections(rows):
    table = np.array(rows, dtype=float).reshape(-1, 7)
    return Detections(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:6], table[:, 6])


def tracks(rows):
    table = np.array(rows, dtype=int).reshape(-1, 7)
    return Tracks(table[:, 0], table[:, 1], table[:, 2], table[:, 3:])


def plain_iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (one, other)]
    shared = max(width, 0) * max(height, 0)
    return shared / (sum(areas) - shared)


def plain_criteria(found, true, num_frames, alpha=0.1, beta=0.1):
    """One detection after the other; areas by the trapezoid rule up to 1 false positive a frame."""
    seen, false = set(), 0
    points = [(0.0, 0.0, 0.0)]
    names = sorted({(row[0], row[1]) for row in true})
    for video, frame, *box, _ in sorted(found, key=lambda row: -row[6]):
        hits = [
            i for i, row in enumerate(true) if (row[0], row[2]) == (video, frame) and plain_iou(box, row[3:]) >= beta
        ]
        seen.update(hits)
        false += not hits
        done = 0
        for name in names:
            members = [i for i, row in enumerate(true) if (row[0], row[1]) == name]
            done += len(seen & set(members)) / len(members) >= alpha
        points.append((false / num_frames, len(seen) / len(true), done / len(names)))
    points = [point for point in points if point[0] <= 1]
    points.append((1.0, *points[-1][1:]))
    areas = np.zeros(2)
    for before, after in zip(points, points[1:], strict=False):
        areas += (after[0] - before[0]) * (np.array(before[1:]) + after[1:]) / 2
    return areas


@pytest.mark.parametrize('seed', range(12))
def test_equals_going_through_the_detections_one_by_one(seed):
    rng = np.random.default_rng(seed)
    true = []
    for video in range(int(rng.integers(1, 4))):
        for track in range(int(rng.integers(1, 4))):
            start = int(rng.integers(0, 5))
            for frame in range(start, start + int(rng.integers(1, 30))):
                x, y, w, h = *rng.integers(0, 60, 2), *rng.integers(5, 40, 2)
                true.append([video, track, frame, x, y, x + w, y + h])
    found = []
    for _ in range(int(rng.integers(1, 120))):
        x, y, w, h = *rng.integers(0, 60, 2), *rng.integers(5, 40, 2)
        # Every other seed has many equal scores, which count in the order of the list.
        score = rng.random() if seed % 2 else rng.integers(5)
        found.append([int(rng.integers(0, 4)), int(rng.integers(0, 34)), x, y, x + w, y + h, score])
    num_frames = int(rng.integers(5, 140))
    curves = region_curves(detections(found), tracks(true), num_frames)
    np.testing.assert_allclose((curves.rbdc, curves.tbdc), plain_criteria(found, true, num_frames), atol=1e-12)


def test_by_hand():
    true = [[0, 0, f, 10, 10, 19, 19] for f in range(10)] + [[0, 1, 0, 12, 12, 21, 21]]
    found = [
        [0, 0, 10, 10, 19, 19, 0.9],  # finds both regions of frame 0: IoU 1 and 64 / 136
        [0, 0, 12, 12, 21, 21, 0.8],  # both are found already: neither way
        [0, 1, 60, 60, 70, 70, 0.7],  # false positive
        [0, 3, 10, 10, 19, 19, 0.6],
    ]
    curves = region_curves(detections(found), tracks(true), 4)
    assert curves.false_positives.tolist() == [0, 0, 0, 0.25, 0.25, 1]
    np.testing.assert_allclose(curves.region_rates, np.array([0, 2, 2, 2, 3, 3]) / 11)
    # One region of ten is a tenth of the track: it is found, as the track of one region is.
    assert curves.track_rates.tolist() == [0, 1, 1, 1, 1, 1]
    assert curves.rbdc == pytest.approx((0.25 * 2 + 0.75 * 3) / 11)
    assert curves.tbdc == 1


def test_boxes_include_their_last_pixel():
    true = [[0, 0, 0, 0, 0, 9, 9]]
    touching = [[0, 0, 9, 0, 18, 9, 1]]  # they share a column: 10 of 190 pixels
    assert region_curves(detections(touching), tracks(true), 1, beta=0.05).rbdc == 1
    assert region_curves(detections(touching), tracks(true), 1, beta=0.06).rbdc == 0


def test_nothing_found_nothing_true_and_bad_scores():
    true = [[0, 0, 0, 0, 0, 9, 9]]
    curves = region_curves(detections([]), tracks(true), 3)
    assert (curves.rbdc, curves.tbdc) == (0, 0)
    with pytest.warns(UserWarning, match='there is no true region'):
        assert np.isnan(region_curves(detections([[0, 0, 0, 0, 1, 1, 1]]), tracks([]), 3).rbdc)
    with pytest.raises(DataError, match='1 of 1 detection scores are not finite'):
        region_curves(detections([[0, 0, 0, 0, 1, 1, np.nan]]), tracks(true), 3)
    with pytest.raises(DataError, match='no frame'):
        region_curves(detections([]), tracks(true), 0)
