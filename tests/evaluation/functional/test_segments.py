import sys
from pathlib import Path

import numpy as np
import pytest

from vadlab.evaluation.functional import Segments, propose_segments, segment_ap, segment_map
from vadlab.utils.errors import ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parents[3] / 'tools'))
from benchmarks.plain_segments import plain_segment_map

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)


def draw(kind, rng, num_classes, dtype):
    """Class scores of a video of some kind, and its true segments."""
    snippets = int(rng.integers(1, 40))
    if kind == 'snippets':
        scores = np.repeat(rng.random((snippets, num_classes)), 16, axis=0)
    elif kind == 'frames':
        scores = rng.random((snippets * 7, num_classes))
    elif kind == 'ties':
        scores = np.repeat(rng.integers(0, 4, (snippets, num_classes)) / 4, 16, axis=0)
    elif kind == 'uneven':
        scores = np.repeat(rng.random((snippets, num_classes)), rng.integers(1, 30, snippets), axis=0)
    else:
        scores = rng.normal(size=(snippets * 16, num_classes))
    scores = scores.astype(dtype)
    truth = []
    for _ in range(int(rng.integers(0, 4))):
        start, end = np.sort(rng.integers(0, len(scores) + 5, 2))
        truth.append((int(rng.integers(0, num_classes)), int(start), int(end) + 1))
        if rng.random() < 0.7:
            scores[start:end, truth[-1][0]] += 0.5
    return scores, truth


@pytest.mark.parametrize('kind', ['snippets', 'frames', 'ties', 'uneven', 'signed'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_vadclip_mode_equals_the_plain_loop(kind, dtype):
    rng = np.random.default_rng(len(kind))
    highest = 0.0
    for _ in range(6):
        num_classes = int(rng.integers(2, 9))
        videos = [draw(kind, rng, num_classes, dtype) for _ in range(int(rng.integers(1, 25)))]
        expected = plain_segment_map([s for s, _ in videos], [t for _, t in videos], num_classes, IOUS)
        proposals = [propose_segments(scores) for scores, _ in videos]
        found, _ = segment_map(proposals, [Segments.of(truth) for _, truth in videos], num_classes, 'vadclip', IOUS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
        highest = max(highest, found.max())
    assert highest > 0.05


def test_proposals_by_hand():
    column = np.array([0.0, 1.0, 0.4, 0.5, 0.5, 0.0, 0.8, 0.1, 0.9, 0.9] + 22 * [0.1])
    other = np.full(32, 0.3)
    found = propose_segments(np.stack([column, other], axis=1))
    # Above 1 - 0.6: frames 1, 3, 4, 6, 8, 9; runs of one frame are no segments, a constant column has none.
    # c is the mean of the 2 highest of 32 frames: (1 + 0.9) / 2.
    assert found.classes.tolist() == [0, 0]
    assert found.starts.tolist() == [8, 3]
    assert found.ends.tolist() == [10, 5]
    np.testing.assert_allclose(found.scores, [0.9 + 0.7 * 0.95, 0.5 + 0.7 * 0.95])


def test_a_video_below_16_frames_and_a_class_without_level_have_none():
    scores = np.zeros((20, 2))
    scores[4:9, 1] = 1
    assert propose_segments(scores).classes.tolist() == [1]
    assert propose_segments(scores[:15]).classes.size == 0
    assert propose_segments(scores - 2).classes.size == 0


def segments(rows, scored=True):
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    arrays = [np.array(column, dtype=np.int64) for column in columns[:3]]
    return Segments(*arrays, np.array(columns[3], dtype=float)) if scored else Segments(*arrays)


def test_average_precision_by_hand():
    truths = [segments([(1, 0, 10), (1, 20, 30)], scored=False), segments([(1, 0, 10)], scored=False)]
    proposals = [segments([(1, 0, 9, 0.9), (1, 1, 10, 0.8), (1, 19, 31, 0.3)]), segments([(1, 50, 60, 0.5)])]
    # By falling score: hit, miss (its segment is taken), miss (another place), hit: (1/1 + 2/4) / 3 true segments.
    np.testing.assert_allclose(segment_ap(proposals, truths, 1, [0.5]), [(1 + 0.5) / 3])
    # At 0.85 the last one, with an IoU of 10 / 12, misses.
    np.testing.assert_allclose(segment_ap(proposals, truths, 1, [0.5, 0.85]), [0.5, 1 / 3])


def test_a_proposal_takes_the_true_segment_that_it_overlaps_most():
    truths = [segments([(0, 0, 10), (0, 8, 30)], scored=False)]
    proposals = [segments([(0, 6, 30, 0.9), (0, 0, 12, 0.8)])]
    np.testing.assert_allclose(segment_ap(proposals, truths, 0, [0.1]), [1.0])


def test_what_is_odd_in_vadclip_mode_and_what_standard_makes_of_it():
    """An oracle of two anomaly classes; normal frames are of class 0, which no true segment has."""
    scores, truths = [], []
    for index, (start, end) in ((1, (16, 40)), (2, (5, 30)), (0, (0, 0))):
        video = np.zeros((64, 3), np.float32)
        video[start:end, index] = 1
        video[:, 0] = 1 - video[:, 1:].max(axis=1)
        scores.append(video)
        truths.append(Segments.of([(index, start, end)] if index else []))
    proposals = [propose_segments(video) for video in scores]
    maps, classes = segment_map(proposals, truths, 3, 'vadclip')
    np.testing.assert_allclose(maps, 2 / 3)
    assert classes[0].tolist() == [0, 1, 1]
    maps, classes = segment_map(proposals, truths, 3, 'standard')
    assert maps.tolist() == [1] * 5
    assert np.isnan(classes[:, 0]).all()
    # A class without any proposal: 0 for all, or 0 for itself.
    scores[1][:] = [1, 0, 0]
    proposals = [propose_segments(video) for video in scores]
    assert segment_map(proposals, truths, 3, 'vadclip')[0].tolist() == [0] * 5
    assert segment_map(proposals, truths, 3, 'standard')[0].tolist() == [0.5] * 5


def test_standard_leaves_out_classes_without_truth():
    rng = np.random.default_rng(0)
    proposals = [propose_segments(rng.random((64, 4)))]
    maps, classes = segment_map(proposals, [Segments.of([(2, 0, 30)])], 4, 'standard')
    assert np.isnan(classes[:, [0, 1, 3]]).all()
    np.testing.assert_array_equal(maps, classes[:, 2])
    assert np.isnan(segment_map(proposals, [Segments.of([])], 4, 'standard')[0]).all()
    assert segment_map(proposals, [Segments.of([])], 4, 'vadclip')[0].tolist() == [0] * 5


def test_input_that_cannot_be_used():
    with pytest.raises(ConfigError, match='vadclip, standard'):
        segment_map([], [], 3, 'best')
    with pytest.raises(ConfigError, match='above 0, up to 1'):
        segment_map([], [], 3, ious=[0])
    with pytest.raises(DataError, match='proposals of 0 videos for the truth of 0'):
        segment_map([], [], 3)
    with pytest.raises(DataError, match=r'shape \(4,\); expected \(N, K\)'):
        propose_segments(np.zeros(4))
    with pytest.raises(DataError, match='1 of 40 class scores are not finite'):
        propose_segments(np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 0.5))
