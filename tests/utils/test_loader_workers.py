import errno
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_sharer
from multiprocessing.connection import Client

import pytest
from torch.utils.data import DataLoader, Dataset

from vadlab.utils.cli import run_cli
from vadlab.utils.loader_workers import exit_if_batches_cannot_be_sent, machine_message

LIMIT_S = 60  # torch looks every 5 s, and has to end the other workers


class Unsendable:
    """Something that fails when it is handed over, as a tensor does where there is no room for it."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class Numbers(Dataset):
    def __init__(self, broken=None, kill=None):
        self.broken, self.kill = broken, kill

    def __len__(self):
        return 8

    def __getitem__(self, i):
        if i == 5 and self.kill is not None:
            os.kill(os.getpid(), self.kill)
            time.sleep(LIMIT_S)
        return Unsendable(self.broken) if i == 5 and self.broken else i


def ends_with(dataset, capsys):
    """The message and status of a tool that goes through a loader."""
    loader = DataLoader(
        dataset, batch_size=1, num_workers=2, collate_fn=list, worker_init_fn=exit_if_batches_cannot_be_sent
    )

    def main():
        assert list(loader) == [[i] for i in range(8)]

    started = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert time.monotonic() - started < LIMIT_S
    return capsys.readouterr().err, caught.value.code


def test_nothing_is_said_where_nothing_happens(capsys):
    assert ends_with(Numbers(), capsys) == ('', 0)


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (
            RuntimeError('unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)'),
            r'error: Data loader workers are out of shared memory \(/dev/shm has \d+ MB\)',
        ),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), r'error: Too many open files. Raise the limit \(ulimit -n'),
        (
            RuntimeError('unable to open shared memory object </t> in read-write mode: Too many open files (24)'),
            r'error: Too many open files',
        ),
    ],
)
def test_a_batch_that_cannot_be_handed_over_ends_the_run_with_one_message(capsys, error, message):
    said, status = ends_with(Numbers(broken=error), capsys)
    assert status == 2
    assert said.count('\n') == 1
    assert re.match(message, said)


def test_what_cannot_be_pickled_is_shown(capfd):
    loader = DataLoader(
        Numbers(broken=TypeError('cannot pickle a lock')),
        num_workers=1,
        collate_fn=list,
        worker_init_fn=exit_if_batches_cannot_be_sent,
    )
    with pytest.raises(SystemExit):
        run_cli(lambda: list(loader) and None)
    said = capfd.readouterr().err
    assert 'TypeError: cannot pickle a lock' in said
    assert 'error: A process that loads data ended (exit status 83)' in said


@pytest.mark.parametrize(
    ('number', 'how'), [(signal.SIGKILL, 'was killed (Killed)'), (signal.SIGTERM, 'was killed (Terminated)')]
)
def test_a_worker_that_is_killed_ends_the_run_with_one_message(capsys, number, how):
    said, status = ends_with(Numbers(kill=number), capsys)
    assert status == 2
    assert said.startswith(f'error: A process that loads data {how}. Often the machine is out of memory')
    assert said.count('\n') == 1


def _offer(pipe, addresses, end):
    exit_if_batches_cannot_be_sent()
    addresses.put(resource_sharer.DupFd(pipe)._id[0])
    end.wait()
    sys.excepthook(ConnectionResetError, ConnectionResetError('of something else'), None)


def test_a_worker_is_silent_if_the_main_process_stops_to_take_its_tensors(capfd):
    """Ctrl-C may come then; Python's thread that hands over file handles prints a traceback."""
    context = multiprocessing.get_context('fork')
    addresses, end = context.SimpleQueue(), context.Event()
    pipe, writer = os.pipe()
    worker = context.Process(target=_offer, args=(pipe, addresses, end))
    worker.start()
    try:
        address = addresses.get()
        for said in (b'', b'ab'):
            with socket.socket(socket.AF_UNIX) as taker:
                taker.connect(address)
                assert taker.recv(4)  # the thread has begun
                taker.sendall(said)
        Client(address, authkey=multiprocessing.current_process().authkey).close()
    finally:
        end.set()
        worker.join()
        os.close(pipe)
        os.close(writer)
    assert capfd.readouterr().err == 'ConnectionResetError: of something else\n'


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_pool_of_processes_that_breaks_is_one_message(capsys):
    def main():
        with ProcessPoolExecutor(1) as pool:
            pool.submit(_die).result()

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith('error: A process that loads data ended.')


def test_other_errors_are_none_of_these():
    for error in (
        RuntimeError('mat1 and mat2 shapes cannot be multiplied'),
        ValueError('x'),
        OSError(errno.EIO, 'I/O'),
    ):
        assert machine_message(error) is None
    assert machine_message(
        BrokenProcessPool('A child process terminated abruptly, the process pool is not usable anymore')
    )
