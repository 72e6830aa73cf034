from fractions import Fraction

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlab.evaluation.functional import (
    PooledCounts,
    RankPool,
    average_precision,
    curve_measures,
    equal_error_rate,
    rank_counts,
    roc_auc,
    youden_threshold,
)
from vadlab.evaluation.functional.rank_pool import thinned
from vadlab.evaluation.functional.ranking import in_runs
from vadlab.utils.errors import DataError

ARRAYS = ('thresholds', 'positives', 'negatives')


@st.composite
def videos(draw):
    """Scores and labels of the frames of videos; both classes are there."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for i in range(draw(st.integers(1, 6))):
        levels = draw(st.sampled_from([2, 5, 100, 10**9]))
        repeats = draw(st.sampled_from([1, 2, 16]))
        scores = rng.integers(-levels, levels, draw(st.integers(1, 20))) / levels
        scores = np.repeat(scores, repeats).astype(draw(st.sampled_from([np.float32, np.float64])))
        labels = rng.random(len(scores)) < 0.4
        labels = np.repeat(labels[::repeats], repeats)[: len(scores)]
        if i == 0:
            scores, labels = np.append(scores, scores[-1]), np.append(labels, ~labels[-1])
        found.append((scores, labels))
    return found


def pooled(parts, segment_size, block_size, weighted=False):
    pools = [RankPool(segment_size), RankPool(segment_size)]
    for scores, labels in parts:
        pool = pools[bool(labels.any())]
        if weighted:
            (scores, labels), lengths = in_runs(scores, labels)
            pool.add(scores, labels, lengths)
        else:
            pool.add(scores, labels)
    return PooledCounts(pools, block_size)


@settings(max_examples=50, deadline=None)
@given(videos(), st.sampled_from([1, 2, 7, 64]), st.sampled_from([3, 16, 200]), st.booleans())
def test_blocks_are_the_counts_of_one_sort_of_all_frames(parts, segment_size, block_size, weighted):
    counts = pooled(parts, segment_size, block_size, weighted)
    scores, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected = rank_counts(scores, labels)
    blocks = list(counts.blocks())
    for name in ARRAYS:
        np.testing.assert_array_equal(
            np.concatenate([getattr(block, name) for block in blocks]), getattr(expected, name), err_msg=name
        )
    assert counts.totals == expected.totals
    # Sums of whole numbers are exact; AP adds the parts of blocks.
    assert roc_auc(counts) == roc_auc(expected)
    assert equal_error_rate(counts) == equal_error_rate(expected)
    assert youden_threshold(counts) == youden_threshold(expected)
    for mode in ('step', 'trapezoid'):
        assert average_precision(counts, mode) == pytest.approx(average_precision(expected, mode), abs=1e-14)
        assert curve_measures(counts, mode) == (
            roc_auc(counts),
            average_precision(counts, mode),
            equal_error_rate(counts),
        )


@settings(max_examples=50, deadline=None)
@given(videos(), st.booleans())
def test_measures_of_one_block_have_the_same_last_digit_and_equal_scikit_learn(parts, weighted):
    counts = pooled(parts, 1 << 20, 1 << 20, weighted)
    scores, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    assert curve_measures(counts) == curve_measures(rank_counts(scores, labels))
    assert roc_auc(counts) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(counts) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)


def test_scores_that_differ_in_double_precision_only_are_told_apart():
    pool = RankPool(2)
    pool.add(np.array([0.5, 0.25], np.float32), np.array([True, False]))
    pool.add(np.array([0.5, 0.5 + 1e-12, 0.5 - 1e-12]), np.array([False, True, False]))
    for block_size in (1, 2, 100):
        blocks = list(PooledCounts([pool], block_size).blocks())
        assert np.concatenate([block.thresholds for block in blocks]).tolist() == [0.5 + 1e-12, 0.5, 0.5 - 1e-12, 0.25]


def test_negative_and_positive_zero_tie():
    pool = RankPool(1)
    pool.add(np.array([0.0, -0.0, 1.0], np.float32), np.array([True, False, False]))
    assert roc_auc(PooledCounts([pool], 1)) == 0.25


def test_area_is_exact_beyond_64_bits():
    weights = np.array([2**40, 2**41 + 1, 3, 2**42 + 7])
    scores, labels = np.array([4, 3, 3, 1]), np.array([True, False, True, False])
    pool = RankPool()
    pool.add(scores, labels, weights)
    first, second, third, fourth = map(int, weights)
    right = Fraction(first * (second + fourth)) + Fraction(third * second, 2) + third * fourth
    expected = float(right / ((first + third) * (second + fourth)))
    assert roc_auc(PooledCounts([pool])) == pytest.approx(expected, rel=1e-15)
    assert roc_auc(rank_counts(scores, labels, weights)) == pytest.approx(expected, rel=1e-15)


def test_pool_notes_range_and_scores_of_zero_and_one():
    pool = RankPool()
    pool.add(np.array([0.0, 1.0, 1.0]), np.array([False, True, False]), np.array([1, 2, 3]))
    assert (pool.total, pool.low, pool.high, pool.ones) == (6, 0, 1, 5)
    pool.add(np.array([0.5]), np.array([True]))
    assert (pool.total, pool.ones) == (7, None)


def test_thinned_counts_keep_the_ends_and_are_counts():
    rng = np.random.default_rng(0)
    scores, labels = rng.random(2000), rng.random(2000) < 0.3
    pool = RankPool(300)
    pool.add(scores, labels)
    every, few = rank_counts(scores, labels), thinned(PooledCounts([pool], 100), 50)
    assert 2 <= len(few.thresholds) <= 50
    at = np.flatnonzero(np.isin(every.thresholds, few.thresholds))
    assert {0, 1999} <= set(at.tolist())
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(few, name), getattr(every, name)[at])
    assert thinned(every, 5000).thresholds.tolist() == every.thresholds.tolist()


@pytest.mark.parametrize(
    ('scores', 'labels', 'weights', 'message'),
    [
        ([0.1, np.nan], [0, 1], None, '1 of 2 scores are NaN'),
        ([0.1, 0.2], [0, 2], None, 'other values than 0'),
        ([0.1, 0.2], [0], None, 'labels'),
        ([0.1, 0.2], [0, 1], [1, 0], 'whole numbers above 0'),
        ([0.1, 0.2], [0, 1], [1.5, 2.0], 'whole numbers above 0'),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, labels, weights, message):
    with pytest.raises(DataError, match=message):
        RankPool().add(np.array(scores), np.array(labels), None if weights is None else np.array(weights))


def test_no_frame_is_refused():
    pool = RankPool()
    pool.add(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(DataError, match='no score to rank'):
        PooledCounts([pool])
