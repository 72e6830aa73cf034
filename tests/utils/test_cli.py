import errno
import os

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
def test_exit_status(main, status):
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
    assert capsys.readouterr().err == 'error: No space left on device\n'


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


def test_workers_traceback_is_left_out(capsys):
    def main():
        torch.set_num_threads(1)
        next(iter(DataLoader(Broken(), num_workers=1)))

    with pytest.raises(SystemExit):
        run_cli(main)
    assert capsys.readouterr().err == 'error: video.mp4 is cut short.\n'
