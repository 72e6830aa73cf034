"""The engine ``ray`` of :mod:`~vadlab.utils.many_files`: tasks on the nodes of a Ray cluster."""

import logging
import os
import pickle
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import vadlab

from .errors import ConfigError, DataError, MissingDependencyError, ServiceError
from .many_files import Engine, Lost, Todo, sendable, started
from .run_log import log

T = TypeVar('T')
R = TypeVar('R')

_TRIES = 4  # of an item whose worker died
_HEAD_LOST_S = 20.0  # Ray ends a process that has not reached the head for 60 s
_STORE_BYTES = 100_000_000  # of a cluster that is started here: results are small
_MISSING = '--engine ray needs Ray: pip install "vadlab[ray]"  (or: pip install ray)'
_RAY_LINE = re.compile(r'^\[[^]]*\] \S+:\d+: (.*)', re.MULTILINE)  # of its libraries in C++
_GO_ON = 'Finished files are kept: start the cluster, and give the same command again.'


def import_ray() -> ModuleType:
    """The package ray, without its telemetry.

    Raises:
        MissingDependencyError: It is not installed.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    os.environ.setdefault('RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO', '0')  # otherwise it warns that this will be the default
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(_MISSING) from error
    return ray


def require_cluster(address: str | None) -> None:
    """Check that Ray is installed and that the cluster answers, without loading Ray.

    Args:
        address (str | None): See :class:`~vadlab.utils.many_files.Engine`.

    Raises:
        ConfigError, MissingDependencyError, ServiceError: See :func:`~vadlab.utils.many_files.over_files`.
    """
    if find_spec('ray') is None:
        raise MissingDependencyError(_MISSING)
    address = address or os.environ.get('RAY_ADDRESS')
    if address:
        _must_answer(address)


def over_cluster(
    start: Callable[[], Callable[[T], R]], items: Sequence[T], engine: Engine, threads: int, gpus: float, todo: Todo
) -> Iterator[tuple[int, R | Lost]]:
    """Work on items on a Ray cluster; see :func:`~vadlab.utils.many_files.over_files`.

    Ray starts an item again whose worker or node died. Results are read in the order in which they are finished.
    """
    ray = import_ray()
    with _connected(ray, engine, threads) as watch:
        task = ray.remote(max_retries=_TRIES - 1, num_cpus=threads, num_gpus=gpus, max_calls=0)(_run_item)
        run = (uuid.uuid4().hex, os.getcwd(), pickle.dumps(start), threads)
        pending: dict[Any, int] = {}
        again: Counter[int] = Counter()
        try:
            while True:
                slots = watch.slots(threads, gpus)
                most = engine.workers or 2 * slots
                for number in todo.take(most - len(pending), engine.workers or slots):
                    pending[task.remote(*run, items[number])] = number
                if not pending and not todo.left:
                    return
                if not slots:
                    watch.wait_for_room(threads, gpus)
                if not pending:
                    continue
                for ref in ray.wait(list(pending), timeout=1.0)[0]:
                    number = pending.pop(ref)
                    result = _result_of(ray, ref, watch)
                    del ref
                    if result is _AGAIN:
                        again[number] += 1
                        if again[number] < _TRIES:
                            todo.put_back(number)
                            continue
                        result = Lost('the nodes that worked on it died, one after another')
                    todo.finish(number)
                    yield number, result
                watch.check()
        finally:
            if pending and not watch.is_lost:
                _cancel(ray, list(pending))


_STARTED: dict[str, Callable[[Any], Any]] = {}
_AGAIN: Any = object()


def _run_item(run: str, folder: str, pickled: bytes, threads: int, item: Any) -> Any:
    """Work on an item in a worker of the cluster, which starts once per run."""
    if run not in _STARTED:
        _STARTED.clear()
        try:
            os.chdir(folder)
        except OSError as error:
            raise DataError(
                f'{socket.gethostname()}: {folder}: {error.strerror}. All nodes of the cluster need the same files '
                'under the same paths, such as a shared file system.'
            ) from None
        _STARTED[run] = started(pickle.loads(pickled), threads)
    try:
        return _STARTED[run](item)
    except Exception as error:
        raise sendable(error) from error


def _result_of(ray: ModuleType, ref: Any, watch: '_Watch') -> Any:
    """The result of a task, :class:`Lost`, or ``_AGAIN`` if its node died too often for Ray's own retries."""
    errors = ray.exceptions
    try:
        return ray.get(ref)
    except errors.OutOfMemoryError as error:
        return Lost(f'the process that worked on it was ended, since its node was out of memory ({_first_line(error)})')
    except errors.WorkerCrashedError:
        return Lost(f'the process that worked on it died {_TRIES} times: it crashed, or the machine is out of memory')
    except errors.LocalRayletDiedError as error:
        raise watch.lost() from error
    except errors.RayTaskError as error:
        if isinstance(error.cause, errors.TaskCancelledError):
            raise KeyboardInterrupt from None  # somebody interrupted the worker
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except (errors.NodeDiedError, errors.ObjectLostError):
        return _AGAIN
    except errors.RayError as error:
        raise ServiceError(f'The Ray cluster at {watch.address} failed: {_first_line(error)}. {_GO_ON}') from error


def _cancel(ray: ModuleType, refs: list[Any]) -> None:
    """Interrupt unfinished items, which then remove their temporary files."""
    # Whatever fails now, the run ends for another reason. Ray prints lines if SIGTERM has reached the cluster, too.
    with suppress(Exception), tempfile.TemporaryFile() as lines, _stderr_to(lines.fileno()):
        for ref in refs:
            ray.cancel(ref, force=False)
        ray.wait(refs, num_returns=len(refs), timeout=5)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition('\n')[0][:300]


@contextmanager
def _connected(ray: ModuleType, engine: Engine, threads: int) -> Iterator['_Watch']:
    """A connection to the cluster; one that exists is used, and kept."""
    own = not ray.is_initialized()
    watch = None
    try:
        if own:
            _connect(ray, engine, threads)
        watch = _Watch(ray)
        yield watch
    finally:
        if watch is not None:
            watch.stop()
        if own:
            with tempfile.TemporaryFile() as lines, _stderr_to(lines.fileno()):
                ray.shutdown()


def _connect(ray: ModuleType, engine: Engine, threads: int) -> None:
    given = engine.address or os.environ.get('RAY_ADDRESS')
    address = given or _cluster_here(ray)
    options: dict[str, Any] = dict(log_to_driver=False, logging_level='ERROR')
    if address == 'local':
        # No other node joins it, so it has room for all workers with their threads, whatever the number of cores.
        cpus = threads * engine.workers if engine.workers else max(threads, Engine(workers=None).count)
        options |= dict(num_cpus=cpus, object_store_memory=_STORE_BYTES, include_dashboard=False)
        options['_node_ip_address'] = '127.0.0.2'  # loopback: Ray would replace 127.0.0.1 by an outer address
    _must_answer(address)
    folder = str(Path(vadlab.__file__).parents[1])
    if Path(folder).name not in ('site-packages', 'dist-packages'):  # a clone: the workers find it by its path
        paths = [folder, *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
        options['runtime_env'] = {'env_vars': {'PYTHONPATH': os.pathsep.join(dict.fromkeys(filter(None, paths)))}}
    before = signal.getsignal(signal.SIGTERM)
    set_handler = ray._private.utils.set_sigterm_handler
    with tempfile.TemporaryFile() as lines:
        try:
            ray._private.utils.set_sigterm_handler = lambda handler: None  # Ray's handler only exits
            # Ray prints a line per try to connect, whatever its options.
            with nullcontext() if address == 'local' else _stderr_to(lines.fileno()):
                ray.init(address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            lines.seek(0)
            why = _RAY_LINE.findall(lines.read().decode(errors='replace'))
            raise ServiceError(
                f'The Ray cluster ({address}) cannot be used: {_first_line(error)}{f" ({why[-1]})" if why else ""}.'
                + ('' if given else ' RAY_ADDRESS=local starts a new one.')
            ) from error
        finally:
            ray._private.utils.set_sigterm_handler = set_handler
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)  # Ray's libraries in C++ set one, too
    # Ray prints a paragraph per lost worker and node, whatever its options. The results of their items tell of them.
    setattr(ray._private.worker, 'print_to_stdstream', lambda *args, **kwargs: None)  # noqa: B010


@contextmanager
def _stderr_to(file: int) -> Iterator[None]:
    """Let all libraries of this process write their standard error to an open file."""
    if sys.stderr is not None:
        sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _cluster_here(ray: ModuleType) -> str:
    """HOST:PORT of the cluster that ``ray start`` started on this machine, or ``local`` for a new one."""
    with suppress(ImportError, AttributeError):
        from ray._private.services import find_bootstrap_address

        found = find_bootstrap_address(None)
        if found and _answers(*_host_and_port(found), 5.0):
            return found
    return 'local'


def _host_and_port(address: str) -> tuple[str, int]:
    host, sign, port = address.rpartition(':')
    if not (sign and host and port.isascii() and port.isdigit()):
        raise ConfigError(f'Ray address {address}: write HOST:PORT of the head, such as 10.0.0.1:6379.')
    return host, int(port)


def _must_answer(address: str) -> None:
    if address in ('local', 'auto'):
        return
    if '://' in address:
        raise ConfigError(
            f'{address}: give HOST:PORT of the head, and start the command on a machine of the cluster, which sees its '
            'files.'
        )
    host, port = _host_and_port(address)
    if not _answers(host, port, 5.0):
        raise ServiceError(
            f'No Ray cluster answers at {address}. Start its head (ray start --head --port {port}), or correct '
            '--ray-address or RAY_ADDRESS.'
        )
    if os.environ.get('RAY_USE_TLS', '0') not in ('1', 'true') and not _has_http2(host, port):
        raise ServiceError(
            f'What answers at {address} is not the head of a Ray cluster. Correct --ray-address or RAY_ADDRESS: the '
            'port of the head is that of ray start --head --port, by default 6379.'
        )


def _has_http2(host: str, port: int, timeout: float = 10.0) -> bool:
    """Whether a server begins to speak HTTP/2 (RFC 9113, section 3.4), as the head does. Ray tries for minutes."""
    settings = b'\0\0\0\4\0\0\0\0\0'  # a frame without content, of type 4, of the whole connection
    with suppress(OSError), socket.create_connection((host, port), timeout) as server:
        server.settimeout(timeout)
        server.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + settings)
        head = b''
        while len(head) < 9 and (part := server.recv(9 - len(head))):
            head += part
        return head[3:4] == b'\4' and head[5:9] == bytes(4)
    return False


def _answers(host: str, port: int, timeout: float) -> bool:
    try:
        socket.create_connection((host, port), timeout).close()
    except (OSError, OverflowError, UnicodeError):  # the last two: no such port, no such name
        return False
    return True


class _Watch:
    """Knows in a thread whether the head of the cluster answers, and what its nodes have."""

    def __init__(self, ray: ModuleType) -> None:
        self.address = str(ray.get_runtime_context().gcs_address)
        self.is_lost = False
        self._ray = ray
        self._seen = self._checked = time.monotonic()
        self._unseen_s = 0.0
        self._has_waited = False
        self._resources: dict[str, float] = {}
        self._stop = threading.Event()
        self._look()
        nodes = sum(node['Alive'] for node in ray.nodes())
        have = ', '.join(f'{self._resources[kind]:g} {kind}s' for kind in ('CPU', 'GPU') if kind in self._resources)
        log(f'Ray cluster at {self.address}: {nodes} nodes, {have}', level=logging.INFO)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        host, port = _host_and_port(self.address)
        while not self._stop.wait(1.0):
            if _answers(host, port, 3.0):
                with suppress(Exception):
                    self._look()

    def _look(self) -> None:
        self._resources = dict(self._ray.cluster_resources())
        self._seen = time.monotonic()

    def slots(self, threads: int, gpus: float) -> int:
        """Items that the cluster has room for; 0 while it has none."""
        have = self._resources
        rooms = [have.get('CPU', 0) / threads] if threads else []
        rooms += [have.get('GPU', 0) / gpus] if gpus else []
        return int(min(rooms))

    def wait_for_room(self, threads: int, gpus: float) -> None:
        """Say once that no node can take an item, and wait a second.

        Raises:
            ServiceError: The head is lost.
        """
        if not self._has_waited:
            self._has_waited = True
            need = f'{threads} CPUs' + (f' and {gpus:g} GPUs' if gpus else '')
            log(f'No node of the Ray cluster at {self.address} has {need}, which an item needs. Waiting for one')
        time.sleep(1.0)
        self.check()

    def check(self) -> None:
        """Raise ServiceError if the head has not answered for some time.

        Only time between two calls counts, and little of a long one: this process may have been stopped (Ctrl-Z).
        """
        now = time.monotonic()
        is_seen = self._seen >= self._checked
        self._unseen_s = 0.0 if is_seen else self._unseen_s + min(now - self._checked, 2.0)
        self._checked = now
        if self._unseen_s > _HEAD_LOST_S:
            raise self.lost()

    def lost(self) -> ServiceError:
        """The error of a cluster without its head."""
        self.is_lost = True
        return ServiceError(f'The Ray cluster at {self.address} has lost its head: it no longer answers. {_GO_ON}')

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
