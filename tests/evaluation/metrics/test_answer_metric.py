import pytest

from vadlab.evaluation.metrics import AnswerMetric
from vadlab.utils.errors import DataError

COUNTS = dict(
    questions=10, calls=12, cached=1, images=20, tokens_in=300, tokens_out=50, seconds=1.5, repeated=2, unread=1
)


def test_counts_are_added_up_over_videos():
    metric = AnswerMetric()
    metric.process(None, [{'video_id': 'a', 'answer_counts': COUNTS}, {'video_id': 'b', 'answer_counts': COUNTS}])
    found = metric.numbers()
    assert (found['answers/questions'], found['answers/seconds'], found['answers/unread']) == (20, 3.0, 2)
    assert found['answers/refused'] == 0
    assert set(metric.protocol) == set(found)


def test_a_repeated_video_counts_once():
    metric = AnswerMetric()
    metric.process(None, [{'video_id': 'a', 'answer_counts': COUNTS}] * 2)
    assert metric.numbers()['answers/calls'] == 12


def test_method_that_asks_nothing():
    with pytest.raises(DataError, match='AnswerMetric needs answer_counts.*for a'):
        AnswerMetric().process(None, [{'video_id': 'a'}])
