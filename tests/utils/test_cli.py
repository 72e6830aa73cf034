import errno
import logging
import os
import signal
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError


def fail(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ('main', 'status'),
    [(lambda: None, 0), (lambda: 3, 3), (fail(DataError('bad')), 2), (fail(KeyboardInterrupt()), 130)],
)
def test_exit_status(main, status, monkeypatch):
    monkeypatch.setattr(sys, 'unraisablehook', sys.unraisablehook)
    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == status


def test_faults_of_the_program_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_cli(lambda: 1 // 0)


def test_users_mistake_is_one_message(capsys):
    with pytest.raises(SystemExit):
        run_cli(fail(DataError('video.mp4 is cut short.')))
    assert capsys.readouterr().err == 'error: video.mp4 is cut short.\n'


@pytest.mark.parametrize('code', [errno.EACCES, errno.ENOSPC, errno.EISDIR, errno.EROFS])
def test_files_that_the_system_refuses_are_one_message(capsys, code):
    with pytest.raises(SystemExit) as caught:
        run_cli(fail(OSError(code, os.strerror(code), 'scores/out.json')))
    assert caught.value.code == 2
    assert capsys.readouterr().err == f'error: scores/out.json: {os.strerror(code)}\n'


def test_a_full_disk_names_no_file(capsys):
    with pytest.raises(SystemExit):
        run_cli(fail(OSError(errno.ENOSPC, 'No space left on device')))
    assert capsys.readouterr().err.startswith('error: No space left on device: a file of this run (its log, ')


@pytest.mark.parametrize(
    'error', [OSError('a library said something'), ConnectionRefusedError(errno.ECONNREFUSED, 'no')]
)
def test_other_errors_of_the_system_keep_their_traceback(error):
    with pytest.raises(OSError, match=str(error).replace('[', r'\[').replace(']', r'\]')):
        run_cli(fail(error))


class Broken(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise DataError('video.mp4 is cut short.')


def test_a_log_that_cannot_be_written_is_one_warning(capsys):
    class Full(logging.Handler):
        baseFilename = 'run/a.log'

        def emit(self, record):
            try:
                raise OSError(errno.ENOSPC, 'No space left on device')
            except OSError:
                self.handleError(record)

    logger = logging.Logger('full')
    logger.addHandler(Full())
    with pytest.raises(SystemExit):
        run_cli(lambda: [logger.warning('line %d', i) for i in range(3)] and None)
    assert capsys.readouterr().err == 'warning: the log is incomplete: run/a.log: [Errno 28] No space left on device\n'


def test_workers_traceback_is_left_out(capsys):
    def main():
        torch.set_num_threads(1)
        next(iter(DataLoader(Broken(), num_workers=1)))

    with pytest.raises(SystemExit):
        run_cli(main)
    assert capsys.readouterr().err == 'error: video.mp4 is cut short.\n'


WAITS = """
import os, sys, time
from pathlib import Path
from vadlab.utils.cli import run_cli
def main():
    try:
        if sys.argv[1] == 'fork':
            begun, begin = os.pipe()  # Python drops a signal that arrives while the fork begins
            if not os.fork():
                os.write(begin, b'x')
                time.sleep(60)
            os.read(begun, 1)
        print('ready', flush=True)
        time.sleep(60)
    finally:
        Path(sys.argv[2]).touch()
run_cli(main, 'again --resume')
"""


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interruption_cleans_up_and_says_how_to_go_on(tmp_path, number, status):
    arguments = [sys.executable, '-c', WAITS, 'alone', str(tmp_path / 'cleaned')]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(number)
        assert process.wait(30) == status
        assert process.stderr.read() == 'interrupted, resume with: again --resume\n'
    assert (tmp_path / 'cleaned').exists()


def test_a_fork_that_is_ended_says_nothing(tmp_path):
    arguments = [sys.executable, '-c', WAITS, 'fork', str(tmp_path / 'cleaned')]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == 'ready\n'
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == 143
        assert process.stderr.read() == 'interrupted, resume with: again --resume\n'


def test_interruption_in_whose_place_a_library_raises_an_error(monkeypatch):
    monkeypatch.setattr(sys, 'unraisablehook', sys.unraisablehook)

    def main():
        try:
            raise KeyboardInterrupt
        except:  # noqa: E722 - as the library does
            raise SyntaxError('failed to format the config')  # noqa: B904

    with pytest.raises(SystemExit) as caught:
        run_cli(main)
    assert caught.value.code == 130


def test_handler_of_the_caller_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        run_cli(lambda: 0)
    assert signal.getsignal(signal.SIGTERM) is before


RANK = """
import atexit, sys, tempfile
import torch
import torch.distributed as dist
from vadlab.utils.cli import run_cli
folder = tempfile.TemporaryDirectory(dir=sys.argv[2])
atexit.register(print, 'registered for the end')
def main():
    dist.init_process_group('gloo', init_method=f'file://{sys.argv[2]}/store', rank=int(sys.argv[3]), world_size=2)
    for _ in range(2000):  # the group's threads drop tensors that Python knows while the process ends
        tensor = torch.zeros(2000)
        tensor.mark = 'known to Python'
        dist.all_reduce(tensor, async_op=True)
        del tensor
    print('done, ', end='')
    return 1 // 0 if sys.argv[1] == 'fault' else int(sys.argv[1])
run_cli(main)
"""


@pytest.mark.parametrize(('wish', 'status'), [('0', 0), ('3', 3), ('fault', 1)])
def test_ranks_whose_group_still_works_end_with_their_own_status(tmp_path, wish, status):
    command = [sys.executable, '-c', RANK, wish, str(tmp_path)]
    begun = [
        subprocess.Popen([*command, rank], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank in '01'
    ]
    for process in begun:
        out, errors = process.communicate(timeout=100)
        assert out == 'done, registered for the end\n'
        assert 'terminate' not in errors
        assert ('ZeroDivisionError' in errors) == (wish == 'fault')
        assert process.returncode == status
    assert {path.name for path in tmp_path.iterdir()} <= {'store'}  # the temporary folders are removed


LOSES = """
import atexit, os, signal, sys
from datetime import timedelta
import torch
import torch.distributed as dist
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError
rank = int(sys.argv[2])
def main():
    store = f'file://{sys.argv[1]}/store'
    dist.init_process_group('gloo', store, rank=rank, world_size=3, timeout=timedelta(seconds=100))
    if rank == 1:
        raise DataError('video.mp4 is cut short.')
    atexit.register(os.kill, os.getpid(), signal.SIGTERM)  # as torchrun does when the first process has ended
    for _ in range(1000):
        dist.all_reduce(torch.zeros(1))
run_cli(main)
"""


def test_ranks_tell_in_one_line_that_another_has_ended(tmp_path):
    command = [sys.executable, '-c', LOSES, str(tmp_path)]
    begun = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(3)]
    said = [process.communicate(timeout=100)[1] for process in begun]
    assert [process.returncode for process in begun] == [2, 2, 2]
    assert said[1] == 'error: video.mp4 is cut short.\n'
    for other in (said[0], said[2]):
        assert other.startswith('error: Another process of this run has ended, and its message says why')
        assert other.count('\n') == 1


PRINTS = """
import sys
from vadlab.utils.cli import run_cli
from vadlab.utils.printable import say
def main():
    if sys.argv[1] == 'fails':
        raise SystemExit('a reason')
    for _ in range(int(sys.argv[1])):
        say('x' * 1000)
    try:
        say('the end', flush=sys.argv[2] == 'at once')
    except OSError:
        print('taken for a bad file', file=sys.stderr)
run_cli(main)
"""


@pytest.mark.parametrize('buffered', ['', '1'])
@pytest.mark.parametrize('arguments', [('0', 'later'), ('0', 'at once'), ('300', 'later')])
def test_a_reader_that_has_gone_is_no_fault(arguments, buffered):
    """As in ``| head``: the status of programs that SIGPIPE ends, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, 'PYTHONUNBUFFERED': buffered}
    command = [sys.executable, '-c', PRINTS, *arguments]
    found = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, timeout=120)
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, '')


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
def test_output_that_a_full_disk_does_not_take_is_one_message():
    environment = {**os.environ, 'PYTHONUNBUFFERED': ''}
    with open('/dev/full', 'w') as full:
        command = [sys.executable, '-c', PRINTS, '0', 'later']
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=120)
    assert found.returncode == 2
    assert found.stderr == 'error: standard output cannot be written: No space left on device\n'


def test_a_standard_stream_that_is_closed_from_the_start_is_no_terminal():
    text = (
        'import sys\n'
        'from vadlab.utils.cli import run_cli\n'
        'from vadlab.utils.errors import DataError\n'
        'from vadlab.utils.progress import ProgressBar\n'
        'def main():\n'
        "    with ProgressBar('files', 3) as bar:\n"
        '        bar(1)\n'
        "    raise DataError('bad')\n"
        'run_cli(main)\n'
    )
    for closed in ('>&-', '2>&-', '>&- 2>&-'):
        found = subprocess.run(
            ['sh', '-c', f'exec "$0" -c "$1" {closed}', sys.executable, text], capture_output=True, timeout=120
        )
        assert found.returncode == 2, found.stderr
        assert b'Traceback' not in found.stderr
