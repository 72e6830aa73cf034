"""Events and calibration; expected values by hand, and by an independent loop."""

from dataclasses import replace

import numpy as np
import pytest
from mmengine.structures import InstanceData

from vadlab.evaluation.functional.events import (
    calibrate,
    explain_by_answers,
    explain_events,
    find_events,
    highest_rate,
)
from vadlab.structures.video_result import Event, Thresholds
from vadlab.utils.errors import ConfigError, DataError

SCORES = np.array([0.1, 0.6, 0.9, 0.6, 0.1, 0.6, 0.1, 0.85, 0.1, 0.1], np.float32)
SECONDS = np.arange(10.0)


def spans(scores, times, **how):
    return [(e.start, e.end, e.peak) for e in find_events(scores, times, Thresholds(**how))]


def test_an_event_reaches_the_high_threshold_and_stays_above_the_low_one():
    assert spans(SCORES, SECONDS, high=0.8, low=0.5) == [(1, 4, 2), (7, 8, 7)]
    assert spans(SCORES, SECONDS, high=0.9, low=0.5) == [(1, 4, 2)]
    assert spans(SCORES, SECONDS, high=0.95, low=0.5) == []
    assert spans(SCORES, SECONDS, high=0.5, low=0.5) == [(1, 4, 2), (5, 6, 5), (7, 8, 7)]


def test_gaps_are_closed_before_short_runs_are_dropped():
    assert spans(SCORES, SECONDS, high=0.8, low=0.5, gap_s=1.0) == [(1, 8, 2)]
    assert spans(SCORES, SECONDS, high=0.8, low=0.5, gap_s=0.9) == [(1, 4, 2), (7, 8, 7)]
    assert spans(SCORES, SECONDS, high=0.8, low=0.5, min_s=3.0) == [(1, 4, 2)]
    assert spans(SCORES, SECONDS, high=0.8, low=0.5, min_s=3.1) == []
    assert spans(SCORES, SECONDS, high=0.8, low=0.5, min_s=7.0, gap_s=1.0) == [(1, 8, 2)]


def test_durations_are_of_presentation_times_not_of_frame_numbers():
    times = np.array([0.0, 1, 1.1, 1.2, 9, 10, 11, 12, 20, 21])
    (first, second) = find_events(SCORES, times, Thresholds(high=0.8, low=0.5, gap_s=0.5))
    assert (first.start_s, first.end_s, first.peak_s) == (1.0, 9.0, 1.1)
    assert (second.start_s, second.end_s, second.peak_s) == (12.0, 20.0, 12.0)


def test_the_last_frame_ends_with_the_video():
    (event,) = find_events(np.array([0.0, 0.9]), np.array([0.0, 0.5]), Thresholds(0.8, 0.5), end_s=0.75)
    assert (event.start, event.end, event.start_s, event.end_s, event.score) == (1, 2, 0.5, 0.75, 0.9)
    (event,) = find_events(np.array([0.0, 0.9]), np.array([0.0, 0.5]), Thresholds(0.8, 0.5))
    assert event.end_s == 1.0
    assert find_events(np.zeros(0), np.zeros(0), Thresholds(0.8, 0.5)) == ()


def test_random_scores_give_the_events_of_a_plain_loop():
    random = np.random.default_rng(0)
    for _ in range(50):
        scores, times = random.random(60), np.cumsum(random.random(60))
        high, low = sorted(random.random(2), reverse=True)
        min_s, gap_s = random.random() * 2, random.random() * 2
        ends = [*times[1:], times[-1] + 1]
        runs = []
        for i, score in enumerate(scores):
            if score >= low:
                if runs and times[i] - ends[runs[-1][1]] <= gap_s:
                    runs[-1][1] = i
                else:
                    runs.append([i, i])
        wanted = [
            (first, last + 1)
            for first, last in runs
            if ends[last] - times[first] >= min_s and max(scores[first : last + 1]) >= high
        ]
        found = find_events(scores, times, Thresholds(high, low, min_s, gap_s), times[-1] + 1)
        assert [(event.start, event.end) for event in found] == wanted
        assert all(event.score == scores[event.start : event.end].max() for event in found)


def test_scores_that_are_not_finite_or_of_another_length_are_an_error():
    with pytest.raises(DataError, match='1 of 2 scores are not finite'):
        find_events(np.array([0.0, np.nan]), np.arange(2), Thresholds(0.8, 0.5))
    with pytest.raises(DataError, match=r'shape \(2,\), times \(3,\)'):
        find_events(np.zeros(2), np.arange(3), Thresholds(0.8, 0.5))


def test_the_class_that_is_highest_at_the_peak_is_the_reason():
    event = Event(4, 9, 6, 0.0, 0.0, 0.0, 0.9)
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6], [0.8, 0.2, 0.0]])
    (found,) = explain_events([event], np.array([0, 7, 14]), scores, ['Normal', 'Arson', 'Fighting'])
    assert found.label == 'Fighting'
    assert found.reason == (
        'at the peak Fighting 0.60 (median of the video 0.00), Arson 0.30 (median of the video 0.20), '
        'Normal 0.10 (median of the video 0.80)'
    )
    assert found.start == 4
    assert explain_events([event], np.array([0]), np.ones((1, 1)), ['Normal']) == (event,)


def test_the_high_threshold_lets_the_wanted_number_of_alarms_through():
    # Two hours in steps of a minute: peaks of 0.9, 0.8, 0.7 and 0.6 over a floor of 0.1.
    score = np.full(120, 0.1, np.float32)
    score[[10, 30, 50, 70]] = [0.9, 0.8, 0.7, 0.6]
    times = np.arange(120) * 60.0
    for rate, expected in ((0, 0.9), (0.5, 0.8), (1, 0.7), (1.9, 0.6)):
        thresholds, found = calibrate([score], [times], [7200.0], rate, low_quantile=0.97)
        assert found.hours == 2.0
        np.testing.assert_allclose(found.peaks, [0.9, 0.8, 0.7, 0.6])
        assert thresholds.low == pytest.approx(0.6)
        assert thresholds.high == np.nextafter(np.float32(expected), np.float32(1))
        assert thresholds.false_alarms_per_hour <= rate
        assert len(find_events(score, times, thresholds, 7200.0)) == int(rate * 2)


def test_events_that_overlap_known_anomalies_are_no_false_alarms():
    # Two hours in steps of a minute; the peak of 0.9 lies inside the anomaly, that of 0.8 begins in its last frame.
    score = np.full(120, 0.1, np.float32)
    score[[10, 50, 70]] = [0.9, 0.7, 0.6]
    score[29:31] = 0.8
    times, truth = np.arange(120) * 60.0, np.array([[5, 15], [20, 30]])
    thresholds, found = calibrate([score], [times], [7200.0], 0, 0.98, truths=[truth])
    assert found.hours == pytest.approx(100 / 60)
    np.testing.assert_allclose(found.peaks, [0.7])  # 98 % of the 100 other frames are below 0.7
    assert thresholds.high == np.nextafter(np.float32(0.7), np.float32(1))
    with pytest.raises(DataError, match='no footage without anomalies'):
        calibrate([score], [times], [7200.0], 0, truths=[np.array([[0, 120]])])


def test_more_alarms_allowed_than_there_are_gives_the_low_threshold():
    score = np.array([0.1, 0.5, 0.1], np.float32)
    thresholds, _ = calibrate([score], [np.arange(3.0)], [3.0], 1e6)
    assert thresholds.high == thresholds.low == 0.5


def test_the_bound_of_the_rate_is_where_so_few_alarms_have_a_probability_of_5_percent():
    for alarms, hours in ((0, 2.0), (3, 0.5), (10, 7.0)):
        mean = highest_rate(alarms, hours) * hours
        terms = [np.exp(-mean)]
        for k in range(1, alarms + 1):
            terms.append(terms[-1] * mean / k)
        assert sum(terms) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ('how', 'error', 'message'),
    [
        (dict(false_alarms_per_hour=-1), ConfigError, 'must be at least 0'),
        (dict(false_alarms_per_hour=1, low_quantile=2), ConfigError, r'must be in 0\.\.1'),
    ],
)
def test_values_out_of_range_are_an_error(how, error, message):
    with pytest.raises(error, match=message):
        calibrate([np.ones(2, np.float32)], [np.arange(2)], [2.0], **how)


def test_no_footage_is_an_error():
    with pytest.raises(DataError, match='there is no footage without anomalies'):
        calibrate([np.zeros(0)], [np.zeros(0)], [0.0], 1)


def test_answers_explain_events_by_the_highest_window_that_overlaps():
    """By hand: of windows with equal scores, the one nearest to the peak; windows without an answer do not count."""
    answers = InstanceData(
        starts=np.array([0, 4, 8, 12]),
        ends=np.array([4, 8, 12, 16]),
        scores=np.array([0.9, 0.7, 0.7, -1.0], np.float32),
        labels=['A', 'B', '', 'D'],
        reasons=['a', 'b', 'c', 'd'],
    )
    first = Event(5, 12, 10, 0.5, 1.2, 1.0, 0.7)
    second = Event(13, 15, 14, 1.3, 1.5, 1.4, 0.8)
    explained = explain_by_answers((first, second), answers)
    assert [(event.label, event.reason) for event in explained] == [(None, 'c'), (None, '')]
    assert explain_by_answers((replace(first, peak=6),), answers)[0].label == 'B'
