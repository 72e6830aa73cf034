import threading
import time

import pytest

from vadlab.utils.read_ahead import read_ahead


def test_items_of_each_job_come_in_their_order():
    found = list(read_ahead(range(5), lambda job: iter([(job, 0), (job, 1), (job, None)]), workers=3, most=2))
    assert len(found) == 15
    for job in range(5):
        assert [item for item in found if item[0] == job] == [(job, 0), (job, 1), (job, None)]
    assert list(read_ahead([], lambda job: iter([job]), workers=3, most=2)) == []


def test_no_more_items_wait_than_allowed():
    made = []

    def items_of(job):
        for i in range(100):
            made.append(i)
            yield i

    stream = read_ahead([0], items_of, workers=1, most=3)
    next(stream)
    time.sleep(0.1)
    assert len(made) <= 1 + 3 + 1  # consumed, waiting, and one that the thread holds
    stream.close()


def test_closing_stops_the_threads():
    before = threading.active_count()
    stream = read_ahead(range(9), lambda job: iter(range(1000)), workers=3, most=2)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_an_error_in_a_thread_is_raised_here():
    def items_of(job):
        yield job
        raise KeyError('a bug')

    with pytest.raises(KeyError, match='a bug'):
        list(read_ahead([1], items_of, workers=1, most=2))
