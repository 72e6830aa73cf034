"""The steps against independent implementations, written from what the authors' public code computes."""

import math

import numpy as np
import pytest

from vadlab.models.vlm.refinement import (
    NeighbourScores,
    PositionPrior,
    SmoothWindows,
    fill_unread,
    neighbour_scores,
    position_prior,
    smooth_windows,
)
from vadlab.utils.errors import ConfigError


def vera(scores, features, total, stride=16):
    """VERA's scores of frames (independent: loops over windows, in plain Python)."""
    rows = [[float(v) / math.sqrt(sum(float(w) ** 2 for w in row)) for v in row] for row in features]
    count = int(0.15 * len(rows)) or len(rows)
    near = []
    for row in rows:
        likeness = sorted(((sum(a * b for a, b in zip(row, o, strict=True)), j) for j, o in enumerate(rows)))[-count:]
        weights = [math.exp(10 * (value - likeness[-1][0])) for value, _ in likeness]
        near.append(sum(w * scores[j] for w, (_, j) in zip(weights, likeness, strict=True)) / sum(weights))
    # 15 places from -8 to 7: the step is 15 / 14, and the peak lies beside the middle.
    kernel = [math.exp(-((-8 + 15 * k / 14) ** 2) / 200) for k in range(15)]
    shift = (min(len(near), 15) - 1) // 2
    smooth = [
        sum(near[i + shift - k] * kernel[k] for k in range(15) if 0 <= i + shift - k < len(near)) / sum(kernel)
        for i in range(len(near))
    ]
    frames = [smooth[n // stride] for n in range(total)]
    half, sigma = total // 2, total // 2
    return [value * math.exp(-((n - half) ** 2) / (2 * sigma**2)) for n, value in enumerate(frames)]


@pytest.mark.parametrize('total', [40, 16 * 6 + 1, 16 * 15, 16 * 40 + 3, 16 * 97 + 15])
def test_vera(total):
    random = np.random.default_rng(total)
    windows = -(-total // 16)
    scores = random.integers(0, 2, windows).astype(float)
    features = random.normal(size=(windows, 12))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = NeighbourScores(share=0.15, scale=10)(scores, unit @ unit.T)
    found = SmoothWindows(15, 10)(found)
    frames = PositionPrior()(np.repeat(found, 16)[:total])
    assert np.abs(frames - vera(scores, features, total)).max() < 1e-6


def test_scores_are_rounded_after_smoothing():
    assert SmoothWindows(1, 1.0, decimals=1)(np.array([0.26, 0.74])).tolist() == [0.3, 0.7]


def test_lavad():
    """Ten nearest summaries, weighted by the softmax of the similarities (independent: sorted lists)."""
    random = np.random.default_rng(0)
    similarity, scores = random.uniform(-1, 1, (30, 18)), random.uniform(0, 1, 30)
    columns = np.sort(random.choice(30, 18, replace=False))
    expected = []
    for row in similarity:
        near = sorted(zip(row, scores[columns], strict=True))[-10:]
        total = sum(math.exp(value) for value, _ in near)
        expected.append(sum(math.exp(value) * score for value, score in near) / total)
    found = NeighbourScores(count=10, features='texts')(scores, similarity, columns)
    assert np.abs(found - expected).max() < 1e-12


def test_neighbours_by_hand():
    similarity = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    assert neighbour_scores(np.array([0.2, 0.4, 0.9]), similarity, 1).tolist() == [0.2, 0.4, 0.9]
    even = neighbour_scores(np.array([0.0, 0.0, 3.0]), np.ones((3, 3)), 5)
    assert even == pytest.approx([1, 1, 1])


def test_prior_is_highest_in_the_middle():
    prior = position_prior(100)
    assert prior.argmax() == 50
    assert prior[50] == 1
    assert prior[0] == pytest.approx(math.exp(-0.5))
    assert position_prior(1).tolist() == [1.0]


def test_smoothing_keeps_the_length_of_short_videos():
    assert [len(smooth_windows(np.ones(n), 15, 10)) for n in (1, 7, 14, 15, 16)] == [1, 7, 14, 15, 16]


def test_windows_without_score_are_interpolated_over_time():
    scores = np.array([np.nan, 0.2, np.nan, np.nan, 0.8])
    assert fill_unread(scores, np.array([0, 10, 20, 30, 40])) == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize('options', [{}, dict(count=1, share=0.5), dict(count=0), dict(share=1.5)])
def test_number_of_neighbours_must_be_given_once(options):
    with pytest.raises(ConfigError, match='count'):
        NeighbourScores(**options)
