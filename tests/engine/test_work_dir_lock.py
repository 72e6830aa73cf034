import json
import os
import signal
import subprocess
import sys

import pytest

from vadlab.engine.work_dir_lock import LOCK_FILE, WorkDirLock
from vadlab.utils.errors import ConfigError

HOLD = """
import sys
from vadlab.engine.work_dir_lock import WorkDirLock
WorkDirLock(sys.argv[1]).acquire()
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in ``tmp_path``."""
    arguments = [sys.executable, '-c', HOLD, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'held\n'
        yield process
        process.kill()


def test_another_process_is_named_and_a_dead_ones_lock_is_taken_over(holder, tmp_path):
    with pytest.raises(ConfigError, match=rf'is in use: process {holder.pid} on .* Wait until it ends'):
        WorkDirLock(tmp_path).acquire()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK_FILE).is_file()
    lock = WorkDirLock(tmp_path)
    lock.acquire()
    assert json.loads((tmp_path / LOCK_FILE).read_text())['pid'] == os.getpid()
    lock.release()
    assert not (tmp_path / LOCK_FILE).exists()


def test_the_next_run_of_a_process_takes_its_lock_over(tmp_path):
    first, second = WorkDirLock(tmp_path), WorkDirLock(tmp_path)
    first.acquire()
    first.acquire()
    second.acquire()
    first.release()
    assert (tmp_path / LOCK_FILE).is_file()
    second.release()
    assert not (tmp_path / LOCK_FILE).exists()


def test_forks_do_not_hold_it(tmp_path):
    lock = WorkDirLock(tmp_path)
    lock.acquire()
    fork = os.fork()
    if not fork:
        signal.pause()
    try:
        lock.release()
        done = subprocess.run([sys.executable, '-c', HOLD, str(tmp_path)], input='', capture_output=True, check=False)
        assert done.returncode == 0
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


def test_a_run_beside_another_one_is_refused_and_changes_nothing(holder, toy_config, tmp_path):
    from vadlab.engine import VADRunner

    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError, match='is in use'):
        VADRunner.from_cfg(toy_config(tmp_path))
    assert [p for p in sorted(tmp_path.iterdir()) if p.suffix != '.py'] == before


def test_the_lock_is_gone_after_a_run_and_after_a_mistake(toy_config, toy_runner, tmp_path):
    toy_runner(tmp_path / 'run', max_epochs=1).train()
    assert not (tmp_path / 'run' / LOCK_FILE).exists()
    with pytest.raises(ConfigError):
        toy_runner(tmp_path / 'other', **{'model.widht': 3})
    assert not (tmp_path / 'other').exists()
