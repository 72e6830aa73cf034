"""The engine ray of the adapter: messages without a cluster, and work on a small one on this machine."""

import functools
import os
import signal
import socketserver
import sys
import threading
import time
from pathlib import Path

import pytest

from vadlab.utils import ray_engine
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError, ServiceError
from vadlab.utils.many_files import Engine, Lost, Ready, over_files

from .test_many_files import complain_about_2, complain_in_two_parts, square


def slow_square(number):
    time.sleep(0.05)
    return number * number


def die_on_3(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def interrupt_itself(number):
    raise KeyboardInterrupt


def count_starts(folder):
    (Path(folder) / f'start.{os.getpid()}').write_text('')
    return square


def first_relative(name):
    return Path(name).read_text()


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(MissingDependencyError, match=r'needs Ray: pip install "vadlab\[ray\]"'):
        list(over_files(Ready(square), range(3), Engine('ray')))


@pytest.mark.parametrize(
    ('address', 'error', 'message'),
    [
        ('127.0.0.1:9', ServiceError, r'No Ray cluster answers at 127\.0\.0\.1:9\. Start its head \(ray start'),
        ('somewhere', ConfigError, 'Ray address somewhere: write HOST:PORT of the head'),
        ('127.0.0.1:²', ConfigError, 'write HOST:PORT of the head'),
        ('no..such.name:6379', ServiceError, r'No Ray cluster answers at no\.\.such'),
        ('ray://127.0.0.1:10001', ConfigError, 'give HOST:PORT of the head, and start the command on a machine'),
    ],
)
@pytest.mark.parametrize('by', ['option', 'environment'])
def test_wrong_addresses_are_one_message(address, error, message, by, monkeypatch):
    pytest.importorskip('ray')
    monkeypatch.delenv('RAY_ADDRESS', raising=False)
    if by == 'environment':
        monkeypatch.setenv('RAY_ADDRESS', address)
    with pytest.raises(error, match=message):
        list(over_files(Ready(square), range(3), Engine('ray', address=address if by == 'option' else None)))


@pytest.fixture
def server():
    """HOST:PORT of a server that answers the first words of each client with ``server.answer``, and ends."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        answer = b''

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            if self.request.recv(1000):
                self.request.sendall(self.server.answer)

    with Server(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.address = f'127.0.0.1:{server.server_address[1]}'
        yield server
        server.shutdown()


@pytest.mark.parametrize('answer', [b'', b'HTTP/1.1 400 Bad Request\r\n\r\n', b'SSH-2.0-OpenSSH_9.6\r\n'])
def test_a_server_that_is_not_a_head_is_one_message_at_once(server, answer, monkeypatch):
    monkeypatch.delenv('RAY_USE_TLS', raising=False)
    server.answer = answer
    with pytest.raises(ServiceError, match=f'What answers at {server.address} is not the head of a Ray cluster'):
        ray_engine._must_answer(server.address)
    monkeypatch.setenv('RAY_USE_TLS', '1')  # the head would wait for a handshake
    ray_engine._must_answer(server.address)


def test_a_server_of_http2_may_be_a_head(server):
    """By hand, RFC 9113, section 4.1: length 6, type 4, no flags, stream 0; then one setting."""
    server.answer = b'\0\0\6\4\0\0\0\0\0' + b'\0\3\0\0\0\x64'
    ray_engine._must_answer(server.address)


class Clock:
    """time.monotonic by hand."""

    now = 0.0

    def monotonic(self):
        return self.now


def test_a_head_is_lost_after_twenty_seconds_of_looking(monkeypatch):
    """A process that was stopped for an hour (Ctrl-Z) has not looked; the head may be there."""
    clock = Clock()
    monkeypatch.setattr(ray_engine, 'time', clock)
    watch = ray_engine._Watch.__new__(ray_engine._Watch)
    watch.address, watch._seen, watch._checked, watch._unseen_s = 'a:1', -1.0, 0.0, 0.0
    watch.check()
    clock.now += 3600.0  # counts as 2 s
    watch.check()
    for _ in range(18):
        clock.now += 1.0
        watch.check()
    clock.now += 1.0
    with pytest.raises(ServiceError, match='The Ray cluster at a:1 has lost its head'):
        watch.check()
    watch._seen = clock.now
    watch.check()
    assert watch._unseen_s == 0.0


@pytest.mark.slow
def test_a_cluster_for_one_command_has_room_for_all_threads_of_a_worker(monkeypatch):
    """No node can join it, so an item that claims more CPUs than the machine has would wait forever."""
    ray = pytest.importorskip('ray')
    monkeypatch.setenv('RAY_ADDRESS', 'local')
    said = []
    monkeypatch.setattr(ray_engine, 'log', lambda message, level=30: said.append(message))
    # A wait would end the test by an exception instead of a hang.
    monkeypatch.setattr(ray_engine._Watch, 'wait_for_room', lambda *args: pytest.fail('no room'))
    threads = Engine(workers=None).count + 1
    assert sorted(over_files(Ready(square), range(3), Engine('ray', 1), threads=threads)) == [(0, 0), (1, 1), (2, 4)]
    assert f'{threads} CPUs' in said[0]
    assert not ray.is_initialized()


@pytest.fixture(scope='module')
def nodes():
    pytest.importorskip('ray')
    from tests.faults.ray_nodes import Nodes

    nodes = Nodes(2)
    yield nodes
    nodes.close()


@pytest.mark.slow
def test_work_on_a_cluster(nodes, tmp_path, monkeypatch):
    """Results as by one process, a start per worker, errors, an item that ends its workers, the command's folder."""
    engine = Engine('ray', address=nodes.address)
    expected = [(n, n * n) for n in range(60)]
    assert sorted(over_files(functools.partial(count_starts, tmp_path), range(60), engine)) == expected
    assert 1 <= len(list(tmp_path.glob('start.*'))) < 30  # a start per worker, not per item; Ray may replace idle ones
    assert list(over_files(Ready(slow_square), range(12), Engine('ray', 3, nodes.address), in_order=True)) == [
        (n, n * n) for n in range(12)
    ]
    with pytest.raises(DataError, match='item 2 is wrong'):
        list(over_files(Ready(complain_about_2), range(9), engine))
    with pytest.raises(RuntimeError, match=r'^TwoPartsError: fault at \d$'):
        list(over_files(Ready(complain_in_two_parts), range(3), engine))
    with pytest.raises(KeyboardInterrupt):
        list(over_files(Ready(interrupt_itself), range(3), engine))
    found = dict(over_files(Ready(die_on_3), range(6), engine))
    assert isinstance(found[3], Lost)
    assert 'died 4 times' in found.pop(3).reason
    assert found == {n: n for n in (0, 1, 2, 4, 5)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'note.txt').write_text('found')
    assert list(over_files(Ready(first_relative), ['note.txt'], engine)) == [(0, 'found')]


@pytest.mark.slow
def test_nodes_are_killed_while_they_work(nodes):
    """One of two nodes is killed and another joins, while 150 items are worked on: each has one result."""
    found = over_files(Ready(slow_square), range(150), Engine('ray', address=nodes.address))
    results = [next(found)]
    nodes.kill(0)
    nodes.add()
    results += list(found)
    assert sorted(results) == [(n, n * n) for n in range(150)]


@pytest.mark.slow
def test_without_any_node_it_waits_for_one(nodes, monkeypatch):
    """All nodes are killed before the first item is started: it is said once, and a node that joins does the work."""
    said = []
    monkeypatch.setattr(ray_engine, 'log', lambda message, level=30: said.append(message))
    while len(nodes):
        nodes.kill(0)
    found = over_files(Ready(square), range(6), Engine('ray', address=nodes.address))
    results = []
    worker = threading.Thread(target=lambda: results.extend(found))
    worker.start()
    deadline = time.monotonic() + 120
    while not any(line.startswith('No node') for line in said) and time.monotonic() < deadline:
        time.sleep(0.1)
    nodes.add()
    worker.join(timeout=300)
    assert sorted(results) == [(n, n * n) for n in range(6)]
    assert sum('has 1 CPUs, which an item needs. Waiting for one' in line for line in said) == 1
