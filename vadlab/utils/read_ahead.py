"""Producing items in threads, ahead of the consumer, with a bounded queue."""

import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from typing import Any, Generic, TypeVar

J = TypeVar('J')
T = TypeVar('T')


def read_ahead(
    jobs: Iterable[J], items_of: Callable[[J], Iterator[T]], workers: int, most: int
) -> Generator[T, None, None]:
    """Items of jobs, made in threads. Items of one job keep their order; those of several jobs are mixed.

    Args:
        jobs (Iterable): What to do; a thread takes the next one when it needs it.
        items_of (Callable): Yields the items of a job, in a thread. An exception ends everything, and is raised here.
        workers (int): Number of threads, >= 1.
        most (int): Most items that wait for the consumer, >= 1.

    Yields:
        The items. Closing the generator stops the threads.
    """
    todo = iter(jobs)
    one_at_a_time = threading.Lock()
    ready: queue.Queue[Any] = queue.Queue(maxsize=most)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue
        raise _StoppedError

    def work() -> None:
        try:
            while not stop.is_set():
                with one_at_a_time:
                    taken = list(itertools.islice(todo, 1))
                if not taken:
                    break
                for item in items_of(taken[0]):
                    put(_Item(item))
            put(None)
        except _StoppedError:
            pass
        except BaseException as error:  # the consumer raises it with its traceback
            try:
                put(error)
            except _StoppedError:
                pass

    count = min(workers, len(jobs)) if isinstance(jobs, Sized) else workers
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item = ready.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item.value
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class _Item(Generic[T]):
    """An item of a job; so an item may be None or an exception."""

    __slots__ = ('value',)

    def __init__(self, value: T) -> None:
        self.value = value


class _StoppedError(Exception):
    """The consumer has stopped."""
