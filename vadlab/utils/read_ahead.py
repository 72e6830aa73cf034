"""Producing items in threads, ahead of the consumer, with a bounded queue."""

import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from typing import Any, Generic, TypeVar

_DONE, _ENDED = object(), object()  # after the items of a job; after those of a thread

J = TypeVar('J')
T = TypeVar('T')


def read_ahead(
    jobs: Iterable[J], items_of: Callable[[J], Iterator[T]], workers: int, most: int, in_order: bool = False
) -> Generator[T, None, None]:
    """Items of jobs, made in threads. Items of one job keep their order; those of several jobs are mixed.

    Args:
        jobs (Iterable): What to do; a thread takes the next one when it needs it.
        items_of (Callable): Yields the items of a job, in a thread. An exception ends everything, and is raised here.
        workers (int): Number of threads, >= 1.
        most (int): Most items that wait for the consumer, >= 1; with ``in_order``, of each job that is at work.
        in_order (bool): Yield the items of the first job, then those of the second, and so on.

    Yields:
        The items. Closing the generator stops the threads.
    """
    todo = iter(jobs)
    one_at_a_time = threading.Lock()
    lines: queue.Queue[queue.Queue[Any]] = queue.Queue(maxsize=workers)  # in the order in which they are read
    stop = threading.Event()

    def put(line: queue.Queue, item: Any) -> None:
        while not stop.is_set():
            try:
                line.put(item, timeout=0.2)
                return
            except queue.Full:
                continue
        raise _StoppedError

    def new_line() -> queue.Queue[Any]:
        line: queue.Queue[Any] = queue.Queue(maxsize=most)
        put(lines, line)
        return line

    def work(line: queue.Queue[Any] | None) -> None:
        """Fill a line with the items of all jobs of this thread; without one, a line for each job."""
        try:
            while not stop.is_set():
                with one_at_a_time:
                    here = new_line() if line is None else line
                    taken = list(itertools.islice(todo, 1))
                if not taken:
                    break
                for item in items_of(taken[0]):
                    put(here, _Item(item))
                if line is None:
                    put(here, _DONE)
            put(here, _ENDED)
        except _StoppedError:
            pass
        except BaseException as error:  # the consumer raises it with its traceback
            try:
                put(here, error)
            except _StoppedError:
                pass

    count = min(workers, len(jobs)) if isinstance(jobs, Sized) else workers
    shared = None if in_order else new_line()
    threads = [threading.Thread(target=work, args=(shared,), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        line = lines.get() if running else queue.Queue()
        while running:
            item = line.get()
            if item is _DONE:
                line = lines.get()
            elif item is _ENDED:
                running -= 1
                line = lines.get() if in_order and running else line
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
