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


@pytest.mark.parametrize('workers', [1, 3])
def test_jobs_come_in_their_order_if_wanted(workers):
    def items_of(job):
        time.sleep(0.01 * (job % 3 == 0))  # later jobs are done first
        yield from ((job, i) for i in range(job % 4))

    found = list(read_ahead(range(20), items_of, workers, most=2, in_order=True))
    assert found == [(job, i) for job in range(20) for i in range(job % 4)]
    assert list(read_ahead([], items_of, workers, most=2, in_order=True)) == []


def test_in_order_few_jobs_are_ahead_closing_stops_the_threads_and_errors_arrive():
    before, taken = threading.active_count(), []

    def items_of(job):
        taken.append(job)
        yield job

    stream = read_ahead(range(100), items_of, workers=3, most=2, in_order=True)
    next(stream)
    time.sleep(0.1)
    assert len(taken) <= 1 + 3 + 3  # read, waiting, and one in each thread
    stream.close()
    assert threading.active_count() == before

    def jobs():
        yield 1
        raise KeyError('a bug')

    with pytest.raises(KeyError, match='a bug'):
        list(read_ahead(jobs(), items_of, workers=2, most=2, in_order=True))
    assert threading.active_count() == before


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


def test_jobs_are_taken_when_a_thread_is_free():
    taken = []

    def jobs():
        for job in range(100):
            taken.append(job)
            yield job

    stream = read_ahead(jobs(), lambda job: iter([job]), workers=2, most=3)
    next(stream)
    time.sleep(0.1)
    assert len(taken) <= 1 + 3 + 2  # consumed, waiting, and one in each thread
    assert len(list(stream)) == 99
    assert taken == list(range(100))


def test_two_stages_end_together():
    """Jobs made ahead in a thread: everything arrives, and closing stops the threads of both stages."""
    before = threading.active_count()
    first = read_ahead(range(200), lambda job: iter([2 * job]), workers=1, most=2)
    assert sorted(read_ahead(first, lambda job: iter([job + 1]), workers=3, most=2)) == list(range(1, 400, 2))
    first = read_ahead(range(200), lambda job: iter([2 * job]), workers=1, most=2)
    second = read_ahead(first, lambda job: iter([job]), workers=3, most=2)
    next(second)
    second.close()
    first.close()
    assert threading.active_count() == before


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
