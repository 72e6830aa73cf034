"""The one way to go over many files: in this process, in processes of this machine, or on a Ray cluster."""

import argparse
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver, popen_forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any, ClassVar, Generic, TypeVar

from .errors import ConfigError, MachineError
from .run_log import log

T = TypeVar('T')
R = TypeVar('R')

ENGINES = ('processes', 'ray')
_AHEAD = 4  # results that wait for an earlier one, per worker
_STARTS = 3  # tries to start a process that dies before it works


@dataclass(frozen=True)
class Engine:
    """What goes over the files.

    Attributes:
        name (str): ``processes`` of this machine, or ``ray``: tasks on the nodes of a Ray cluster.
        workers (int | None): Files at a time, >= 1. None: one per core of the machine, or as many as the cluster has
            room for.
        address (str | None): HOST:PORT of the head of a Ray cluster. None: RAY_ADDRESS, or the cluster that runs on
            this machine, or a new one on this machine.

    Raises:
        ConfigError: The name is not known, ``workers`` is less than 1, or ``address`` is given without Ray.
    """

    name: str = 'processes'
    workers: int | None = 1
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ConfigError(f'engine={self.name!r} is not one of {", ".join(ENGINES)}.')
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f'workers={self.workers} must be at least 1.')
        if self.address is not None and self.name != 'ray':
            raise ConfigError(f'--ray-address {self.address} needs --engine ray.')

    @classmethod
    def of_models(cls, name: str, jobs: int | None, address: str | None) -> 'Engine':
        """An engine whose workers have a model each: by default one here, or as many as the cluster has room for.

        Raises:
            ConfigError: As for the class; the message names the option ``--jobs``.
        """
        if jobs is not None and jobs < 1:
            raise ConfigError(f'--jobs must be at least 1, not {jobs}.')
        return cls(name, 1 if jobs is None and name == 'processes' else jobs, address)

    def require(self) -> None:
        """Check, before slow packages are loaded, that Ray is installed and its cluster answers.

        Raises:
            ConfigError, MissingDependencyError, ServiceError: See :func:`over_files`.
        """
        if self.name == 'ray':
            from .ray_engine import require_cluster

            require_cluster(self.address)

    @property
    def is_here(self) -> bool:
        """Whether this process does the work."""
        return self.name == 'processes' and self.count == 1

    @property
    def count(self) -> int:
        """Processes on this machine."""
        if self.workers is not None:
            return self.workers
        # Those that this process may use: Slurm and containers often give it some of the machine's.
        return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


@dataclass(frozen=True)
class Lost:
    """The result of an item that ended every worker which tried it.

    Attributes:
        reason (str): How the worker ended, as a phrase such as ``the process that worked on it was killed``.
    """

    reason: str


@dataclass(frozen=True)
class Ready(Generic[T, R]):
    """The ``start`` of work that needs no start.

    Attributes:
        work (Callable): Works on an item; can be pickled.
    """

    work: Callable[[T], R]

    def __call__(self) -> Callable[[T], R]:
        return self.work


def add_engine_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options that choose what goes over the files."""
    parser.add_argument(
        '--engine',
        choices=ENGINES,
        default='processes',
        help='processes of this machine (default), or tasks on a Ray cluster',
    )
    parser.add_argument(
        '--ray-address',
        metavar='HOST:PORT',
        help='head of the Ray cluster (default: RAY_ADDRESS, or the cluster on this machine, or a new one)',
    )


def over_files(
    start: Callable[[], Callable[[T], R]],
    items: Sequence[T],
    engine: Engine,
    *,
    threads: int = 1,
    gpus: float = 0,
    in_order: bool = False,
    patience_s: float = 0.0,
) -> Iterator[tuple[int, R | Lost]]:
    """Work on each item once, and deliver the results as they are finished.

    A worker calls ``start`` once, for instance to load a model, and then works on items. Results do not depend on the
    engine if the work on an item depends on that item alone and has as many threads. The number of unfinished items is
    bounded. If a worker dies, its items are tried again; an item that ends the workers again is :class:`Lost`, and the
    others go on. With Ray, an item may be started again after it was finished, if its node died with the result.

    Args:
        start (Callable): Returns the function that works on an item; can be pickled, as can items and results.
        items (Sequence): What to work on.
        engine (Engine): What does the work.
        threads (int): Threads of a worker's libraries; with Ray, also the CPUs that an item claims. In this process
            nothing is changed.
        gpus (float): With Ray, the GPUs that an item claims.
        in_order (bool): Deliver results in the order of the items; few results wait for an earlier one.
        patience_s (float): Work in this process for about so many seconds, before processes are started for what is
            left. Only for work that cannot crash a process.

    Yields:
        tuple[int, R | Lost]: Number of an item, and its result. An exception of the work ends everything.

    Raises:
        MissingDependencyError: Ray is not installed.
        ServiceError: The Ray cluster cannot be reached, or is lost.
    """
    if not items:
        return
    todo = Todo(len(items), in_order)
    if engine.name == 'ray':
        from .ray_engine import over_cluster

        done = over_cluster(start, items, engine, threads, gpus, todo)
        yield from _sorted(done) if in_order else done
        todo.check()
        return
    is_alone = engine.is_here
    if is_alone or patience_s > 0:
        begin, work = time.monotonic(), start()
        while is_alone or time.monotonic() - begin < patience_s:
            for number in todo.take(1, 1):
                yield number, work(items[number])
                todo.finish(number)
                break
            else:
                return
    if left := todo.left:
        done = _over_processes(start, items, min(engine.count, left), threads, todo)
        yield from _sorted(done, todo.first) if in_order else done
    todo.check()


def _sorted(done: Iterator[tuple[int, R]], following: int = 0) -> Iterator[tuple[int, R]]:
    waiting: dict[int, R] = {}
    for number, result in done:
        waiting[number] = result
        while following in waiting:
            yield following, waiting.pop(following)
            following += 1


@dataclass
class Todo:
    """The numbers of the items that are still to be started.

    Args:
        count (int): Number of items.
        in_order (bool): Do not start an item that is far ahead of the first unfinished one.
    """

    count: int
    in_order: bool = False
    first: int = 0  # the first one that is not finished
    _next: int = 0
    _again: list[int] = field(default_factory=list)
    _finished: set[int] = field(default_factory=set)

    @property
    def left(self) -> int:
        """How many are not started."""
        return self.count - self._next + len(self._again)

    def take(self, room: int, workers: int) -> Iterator[int]:
        """At most ``room`` numbers, for ``workers`` that work at a time."""
        for _ in range(room):
            if self._again:
                yield self._again.pop()
            elif self._next < self.count and not (self.in_order and self._next >= self.first + _AHEAD * workers):
                self._next += 1
                yield self._next - 1
            else:
                return

    def put_back(self, number: int) -> None:
        """Start an item again."""
        self._again.append(number)

    def finish(self, number: int) -> None:
        """Note that an item is finished."""
        self._finished.add(number)
        while self.first in self._finished:
            self._finished.remove(self.first)
            self.first += 1

    def check(self) -> None:
        """Raise RuntimeError if an item is not finished, which would be a fault of the engine."""
        if self.first != self.count:
            raise RuntimeError(f'Item {self.first} of {self.count} has no result: please report it.')


# ------------------------------------------------------------------------------------------------------------ processes


def _over_processes(
    start: Callable[[], Callable[[T], R]], items: Sequence[T], workers: int, threads: int, todo: Todo
) -> Iterator[tuple[int, R | Lost]]:
    suspects: list[int] = []
    end = _End()
    unstarted = 0
    while (yield from _in_pool(start, items, workers, threads, todo, suspects, end)):
        log(f'A process {end.way}. The {len(suspects)} items that were at work are tried again, one at a time')
        # Any of the items at work may have ended the process. Alone, an item that ends its process is found.
        for number in suspects:
            found: list[int] = []
            while (yield from _in_pool(start, items, 1, threads, _Only(number), found, end)):
                if end.was_ready:
                    yield number, Lost(f'the process that worked on it {end.way}')
                    break
                unstarted += 1  # not the fault of the item
                if unstarted == _STARTS:
                    raise MachineError(f'A process {end.way}, before it began to work: tried {_STARTS} times')
            unstarted = 0
            todo.finish(number)
        suspects.clear()


class _Only(Todo):
    """One item."""

    def __init__(self, number: int) -> None:
        super().__init__(0)
        self.put_back(number)


@dataclass
class _End:
    """How a pool of processes ended.

    Attributes:
        way (str): How one of its processes ended, as a phrase.
        was_ready (bool): Whether one of them had begun to work.
    """

    way: str = ''
    was_ready: bool = False


class _Popen(popen_forkserver.Popen):
    """Asks for the status of a process once, though several threads may do so.

    The status can be read once. In Python's own class a thread that comes second takes the process for crashed (255).
    """

    _reading = threading.Lock()

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None and connection.wait([self.sentinel], 0 if flag == os.WNOHANG else None):
            with self._reading:
                super().poll()
        return self.returncode


class _Process(ForkServerProcess):
    @staticmethod
    def _Popen(process: BaseProcess) -> _Popen:
        return _Popen(process)


class _Context(ForkServerContext):
    Process = _Process


def _in_pool(
    start: Callable[[], Callable[[T], R]],
    items: Sequence[T],
    workers: int,
    threads: int,
    todo: Todo,
    suspects: list[int],
    end: _End,
) -> Generator[tuple[int, R], None, bool]:
    """Work on items in a pool of processes, on few at a time, and yield their results.

    Returns:
        bool: Whether a process died, and the pool with it. Then the unfinished items are added to ``suspects``, and
        ``end`` is filled in.
    """
    context = _Context()
    # Processes are forked from one that has imported the modules and has no threads.
    context.set_forkserver_preload(['__main__', __name__, _module_of(start)])
    with signals_held():
        _start_server()
    others = set(multiprocessing.active_children())
    mine: set[BaseProcess] = set()
    numbers, ready = context.Value('i', 0), context.Event()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(start, threads, numbers, ready)
    )
    pending: dict[Future, int] = {}
    ended = False
    try:
        while True:
            for number in todo.take(2 * workers - len(pending), workers):
                suspects.append(number)  # stays there if the pool is found dead here
                item = pickle.dumps(items[number])
                with signals_held():  # nobody would end a process whose start is interrupted
                    try:
                        future = pool.submit(_work, item)
                    except (EOFError, ConnectionError) as error:  # a process was killed while it was started
                        raise BrokenProcessPool from error
                    finally:
                        mine |= set(multiprocessing.active_children()) - others
                pending[future] = suspects.pop()
            if not pending:
                ended = True
                return False
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                # Unpickled here, since a result that cannot be would look like a dead process to the pool.
                result = pickle.loads(future.result())
                number = pending.pop(future)
                todo.finish(number)
                yield number, result
    except BrokenProcessPool:
        suspects.extend(pending.values())
        end.way, end.was_ready = _way_of(mine), ready.is_set()
        return True
    finally:
        if not ended:
            for process in mine:
                with suppress(ProcessLookupError):
                    os.kill(process.pid or 0, signal.SIGINT) if process.is_alive() and process.pid else None
        pool.shutdown(wait=True, cancel_futures=True)
        for process in mine:  # one that the pool did not come to know
            process.terminate()
            process.join()


def _start_server() -> None:
    """Start the process from which others are forked. It and they ignore Ctrl-C until they are set up for it."""
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM until the block ends; a second one is not held back."""
    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield
        return
    came: list[int] = []

    def note(signum: int, frame: Any) -> None:
        came.append(signum)
        if len(came) > 1:
            raise KeyboardInterrupt

    before = {}
    try:
        for which in (signal.SIGINT, signal.SIGTERM):
            before[which] = signal.signal(which, note)
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])


def _module_of(start: Callable[[], Any]) -> str:
    function: Any = start.work if isinstance(start, Ready) else start
    return getattr(function, 'func', function).__module__  # of a functools.partial, too


def _way_of(processes: set[BaseProcess]) -> str:
    """How the first process of a broken pool ended, as a phrase; the pool itself ends the others by SIGTERM."""
    for process in processes:
        process.join(1)
    codes = [process.exitcode for process in processes if process.exitcode not in (None, 0, -signal.SIGTERM)]
    if not codes:
        return 'crashed'
    code = codes[0] or 0
    if code == -signal.SIGKILL:
        return 'was killed (SIGKILL): often the machine is out of memory, see dmesg. Take fewer workers'
    return f'crashed ({signal.Signals(-code).name})' if code < 0 else f'crashed (exit status {code})'


class _Worker:
    """What a process of a pool works with."""

    start: ClassVar[Callable[[], Callable[[Any], Any]] | None] = None
    work: ClassVar[Callable[[Any], Any] | None] = None
    ready: ClassVar[Event | None] = None
    is_busy = False
    is_stopped = False
    threads = 1


def _begin(start: Callable[[], Callable[[Any], Any]], threads: int, numbers: Any, ready: Event) -> None:
    """Set up a process of a pool; what may fail comes with the first item, whose exception reaches the parent."""
    _Worker.start, _Worker.threads, _Worker.ready = start, threads, ready
    with numbers.get_lock():
        os.environ['LOCAL_RANK'] = str(numbers.value)  # chooses among several GPUs
        numbers.value += 1
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.unraisablehook = _tell_unless_stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _stop(signum: int, frame: Any) -> None:
    """Interrupt the work once: Ctrl-C in a terminal reaches this process, and the parent interrupts it, too."""
    is_first, _Worker.is_stopped = not _Worker.is_stopped, True
    if _Worker.is_busy and is_first:
        raise KeyboardInterrupt


def _tell_unless_stopped(unraisable: Any) -> None:
    """Print an error that nobody can catch, unless it is the interruption, which may meet a destructor."""
    if not (_Worker.is_stopped and isinstance(unraisable.exc_value, KeyboardInterrupt)):
        sys.__unraisablehook__(unraisable)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(item: bytes) -> bytes:
    try:
        _Worker.is_busy = True
        if _Worker.is_stopped:
            raise KeyboardInterrupt
        if _Worker.work is None:
            assert _Worker.start is not None
            assert _Worker.ready is not None
            _Worker.work = started(_Worker.start, _Worker.threads)
            _Worker.ready.set()
        return pickle.dumps(_Worker.work(pickle.loads(item)))
    except Exception as error:
        raise sendable(error) from error
    finally:
        _Worker.is_busy = False


def sendable(error: Exception) -> Exception:
    """The error, or one of its text if it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f'{type(error).__name__}: {error}')
    return error


def started(start: Callable[[], Callable[[T], R]], threads: int) -> Callable[[T], R]:
    """Call ``start`` in a worker, whose libraries then use this many threads."""
    _limit_threads(threads)
    work = start()
    _limit_threads(threads)  # of libraries that ``start`` loaded
    return work


def _limit_threads(threads: int) -> None:
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(threads)
    if 'cv2' in sys.modules:
        sys.modules['cv2'].setNumThreads(threads)
