"""Events frame by frame, against find_events on the whole sequence."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlab.apis.live.online_events import OnlineEvents
from vadlab.evaluation.functional.events import find_events
from vadlab.structures.video_result import Thresholds


def online(scores, times, thresholds, end_s):
    """Events as (start, end, peak, score), and when each became certain."""
    finder, began, ended = OnlineEvents(thresholds), [], []
    steps = [(time, finder.add(float(time), float(score))) for time, score in zip(times, scores, strict=True)]
    for time, (new, over) in [*steps, (end_s, finder.finish(end_s))]:
        if new is not None:
            began.append((time, new))
        if over is not None:
            ended.append((over.start, over.end, over.peak, over.score))
            assert over in [run for _, run in began], 'an event was over before it began'
    assert len(began) == len(ended)
    return ended, [time for time, _ in began]


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.integers(1, 4)), max_size=60),
    st.integers(1, 10),
    st.integers(0, 9),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_events_are_those_of_the_whole_sequence(frames, high, low, min_s, gap_s):
    scores = np.array([score for score, _ in frames]) / 10
    times = np.cumsum([step for _, step in frames]) * 0.5
    thresholds = Thresholds(high / 10, min(low, high) / 10, min_s * 0.5, gap_s * 0.5)
    end_s = float(times[-1]) + 0.5 if len(times) else 0.0
    expected = [(e.start_s, e.end_s, e.peak_s, e.score) for e in find_events(scores, times, thresholds, end_s)]
    found, _ = online(scores, times, thresholds, end_s)
    assert len(found) == len(expected)
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected))


def test_an_event_is_certain_when_it_is_high_and_long_enough():
    scores = [0.1, 0.6, 0.9, 0.6, 0.6, 0.1, 0.1]
    ended, began = online(scores, range(7), Thresholds(0.8, 0.5, min_s=3.0), 7.0)
    assert began == [4]  # from 1 on, high since 2, three seconds long at 4
    assert ended == [(1.0, 5.0, 2.0, 0.9)]


def test_an_event_lasts_until_its_gap_is_longer_than_allowed():
    finder = OnlineEvents(Thresholds(0.8, 0.5, gap_s=2.0))
    over = [finder.add(float(t), s)[1] for t, s in enumerate([0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1])]
    assert [t for t, event in enumerate(over) if event] == [7]
    assert (over[7].start, over[7].end) == (0.0, 4.0)
    assert finder.open_event is None


def test_what_came_with_the_highest_score_is_kept():
    finder = OnlineEvents(Thresholds(0.5, 0.5))
    for time, (score, about) in enumerate([(0.6, 'a'), (0.9, 'b'), (0.9, 'c'), (0.7, 'd')]):
        finder.add(float(time), score, about)
    assert finder.open_event.about == 'b'
