"""The adapter that goes over many files, in this process and in processes."""

import functools
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from vadlab.utils import many_files
from vadlab.utils.errors import ConfigError, DataError, MachineError
from vadlab.utils.many_files import Engine, Lost, Ready, Todo, over_files

ROOT = Path(__file__).parents[2]


def square(number):
    return number * number


def start_with_note(folder):
    """A start that leaves a file, so that starts can be counted."""
    (Path(folder) / f'start.{os.getpid()}').write_text('')
    return functools.partial(slow_pid, folder)


def slow_pid(folder, number):
    del folder
    time.sleep(0.02)
    return number, os.getpid()


def die_on_3_and_5(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        os._exit(7)
    return number


def die_once(folder, number):
    """The process ends at the first try of an item, as one that the system ends for its memory."""
    note = Path(folder) / f'tried.{number}'
    if number == 4 and not note.exists():
        note.write_text('')
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def complain_about_2(number):
    if number == 2:
        raise DataError('item 2 is wrong')
    return number


def slow_first(number):
    time.sleep(0.4 if number == 0 else 0.0)
    return number


def long_work(folder, number):
    path = Path(folder) / f'.{number}.part'
    try:
        path.write_text('')
        time.sleep(60)
    finally:
        path.unlink(missing_ok=True)


def slow_clean_up(folder, number):
    path = Path(folder) / f'.{os.getpid()}.part'
    path.write_text('')
    try:
        time.sleep(60)
    finally:
        time.sleep(1.0)
        path.unlink()


class TwoPartsError(Exception):
    """An exception that can be pickled, and cannot be unpickled."""

    def __init__(self, what, where):
        super().__init__(f'{what} at {where}')


class Unreadable:
    """A value that can be pickled, and cannot be unpickled."""

    def __reduce__(self):
        return int, ('no number',)


def complain_in_two_parts(number):
    raise TwoPartsError('fault', number)


def unreadable_result(number):
    return Unreadable() if number == 2 else number


def die_at_the_start(folder, starts):
    """The start of the first processes, which it ends; notes each."""
    count = len(list(Path(folder).glob('start.*')))
    (Path(folder) / f'start.{os.getpid()}').write_text('')
    if count < starts:
        os._exit(9)
    return square


def test_every_item_is_worked_on_once_by_any_engine():
    numbers = list(range(40))
    expected = [(n, n * n) for n in numbers]
    assert list(over_files(Ready(square), numbers, Engine())) == expected
    assert sorted(over_files(Ready(square), numbers, Engine(workers=2))) == expected
    assert sorted(over_files(Ready(square), numbers, Engine(workers=2), patience_s=1e-4)) == expected
    assert list(over_files(Ready(square), [], Engine(workers=2))) == []


def test_a_worker_starts_once(tmp_path):
    found = list(over_files(functools.partial(start_with_note, tmp_path), range(20), Engine(workers=2)))
    assert {pid for _, (_, pid) in found} == {int(path.suffix[1:]) for path in tmp_path.glob('start.*')}
    assert os.getpid() not in {pid for _, (_, pid) in found}
    assert sorted(number for number, _ in found) == list(range(20))


def test_items_that_end_their_process_are_lost_and_the_others_done():
    found = dict(over_files(Ready(die_on_3_and_5), range(9), Engine(workers=2)))
    assert [found.pop(n).reason for n in (3, 5)] == [
        'the process that worked on it was killed (SIGKILL): often the machine is out of memory, see dmesg. '
        'Take fewer workers',
        'the process that worked on it crashed (exit status 7)',
    ]
    assert found == {n: n for n in (0, 1, 2, 4, 6, 7, 8)}


def test_threads_that_wait_for_a_process_see_the_same_exit_status():
    """In Python's own class, the one that comes second sees 255."""
    process = many_files._Context().Process(target=os._exit, args=(7,))
    process.start()
    threads = [threading.Thread(target=process.join) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.exitcode == 7


def test_an_item_whose_process_died_once_is_done(tmp_path):
    found = list(over_files(Ready(functools.partial(die_once, tmp_path)), range(9), Engine(workers=2)))
    assert sorted(found) == [(n, n) for n in range(9)]
    assert not any(isinstance(result, Lost) for _, result in found)


@pytest.mark.parametrize('in_order', [False, True])
def test_no_item_is_missed_if_the_pool_is_found_dead_when_the_next_one_starts(in_order):
    """The processes die while the caller works on a result, so the pool refuses the next item."""
    found = {}
    for number, result in over_files(Ready(die_on_3_and_5), range(9), Engine(workers=2), in_order=in_order):
        found[number] = result
        deadline = time.monotonic() + 5
        while number == 0 and multiprocessing.active_children() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sorted(found) == list(range(9))
    assert [number for number, result in found.items() if isinstance(result, Lost)] == [3, 5]


def test_a_missed_item_is_an_error():
    todo = Todo(2)
    todo.finish(1)
    with pytest.raises(RuntimeError, match='Item 0 of 2 has no result'):
        todo.check()


def test_an_error_that_cannot_be_sent_is_told_by_its_text():
    """To the pool it would look like a dead process, and its item would be lost."""
    with pytest.raises(RuntimeError, match=r'^TwoPartsError: fault at \d$'):
        list(over_files(Ready(complain_in_two_parts), range(4), Engine(workers=2)))
    assert not multiprocessing.active_children()


def test_what_cannot_be_sent_is_an_error_and_loses_nothing():
    with pytest.raises(ValueError, match='invalid literal'):
        list(over_files(Ready(unreadable_result), range(4), Engine(workers=2)))
    with pytest.raises(ValueError, match='invalid literal'):
        list(over_files(Ready(square), [1, Unreadable(), 3], Engine(workers=2)))
    with pytest.raises((AttributeError, pickle.PicklingError), match='lambda'):
        list(over_files(Ready(square), [1, lambda: 2, 3], Engine(workers=2)))
    assert not multiprocessing.active_children()


def test_processes_that_die_at_the_start_are_no_fault_of_the_items(tmp_path):
    """The first pool has two processes; then each is tried alone. Three deaths one after another are an error."""
    found = over_files(functools.partial(die_at_the_start, tmp_path / 'few', 3), range(9), Engine(workers=2))
    (tmp_path / 'few').mkdir()
    assert sorted(found) == [(n, n * n) for n in range(9)]
    (tmp_path / 'all').mkdir()
    found = over_files(functools.partial(die_at_the_start, tmp_path / 'all', 99), range(9), Engine(workers=2))
    with pytest.raises(
        MachineError, match=r'A process crashed \(exit status 9\), before it began to work: tried 3 times'
    ):
        list(found)
    assert len(list((tmp_path / 'all').iterdir())) <= 5
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_while_it_is_started_is_started_again(monkeypatch):
    """By hand: Python then raises an error of the pipe to it, once."""
    errors = [BrokenPipeError(32, 'Broken pipe'), EOFError('unexpected EOF')]
    submit = ProcessPoolExecutor.submit

    def submit_at_last(pool, function, item):
        if len(errors) and pickle.loads(item) == 3:
            raise errors.pop()
        return submit(pool, function, item)

    monkeypatch.setattr(ProcessPoolExecutor, 'submit', submit_at_last)
    assert sorted(over_files(Ready(square), range(9), Engine(workers=2))) == [(n, n * n) for n in range(9)]
    assert errors == []


def test_a_single_item_is_worked_on_as_many_are(tmp_path):
    """The last file of an interrupted run gets the threads that the others had: in this process they may differ."""
    ((number, (_, pid)),) = over_files(functools.partial(start_with_note, tmp_path), [5], Engine(workers=2))
    assert number == 0
    assert pid != os.getpid()


@pytest.mark.parametrize('workers', [1, 2])
def test_an_error_of_the_work_ends_everything(workers):
    with pytest.raises(DataError, match='item 2 is wrong'):
        list(over_files(Ready(complain_about_2), range(9), Engine(workers=workers)))
    assert not multiprocessing.active_children()


def test_results_come_in_order_if_wanted():
    found = list(over_files(Ready(slow_first), range(30), Engine(workers=2), in_order=True))
    assert found == [(n, n) for n in range(30)]


def test_few_items_run_ahead_of_the_first_unfinished_one():
    """By hand: 4 per worker, so 0 to 7 for two workers; after 0 is finished one more."""
    todo = Todo(100, in_order=True)
    assert list(todo.take(50, workers=2)) == list(range(8))
    todo.finish(1)
    assert list(todo.take(50, workers=2)) == []
    todo.finish(0)
    assert list(todo.take(50, workers=2)) == [8, 9]
    todo.put_back(5)
    assert list(todo.take(50, workers=2)) == [5]
    assert todo.left == 90


def test_left_early_it_ends_its_processes():
    found = over_files(Ready(square), range(1000), Engine(workers=2))
    next(found)
    found.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize('which', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_its_workers_clean_up_and_end(which, tmp_path):
    """One message, no traceback, no temporary file, no process is left."""
    script = tmp_path / 'run.py'
    script.write_text(
        'import functools\n'
        'from tests.utils.test_many_files import long_work\n'
        'from vadlab.utils.cli import run_cli\n'
        'from vadlab.utils.many_files import Engine, Ready, over_files\n'
        'def main():\n'
        f'    list(over_files(Ready(functools.partial(long_work, {str(tmp_path)!r})), range(8), Engine(workers=2)))\n'
        "if __name__ == '__main__':\n"
        '    run_cli(main)\n'
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob('.*.part'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(tmp_path.glob('.*.part'))) == 2
    process.send_signal(which)
    _, error = process.communicate(timeout=60)  # ends when no process has its standard error open
    assert error == 'interrupted\n'
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[which]
    assert not list(tmp_path.glob('.*.part'))


def run_script(tmp_path, work):
    """A command of its own process group, as in a terminal, that works on items with two processes."""
    script = tmp_path / 'run.py'
    script.write_text(
        f'import functools\nfrom {work} import work\n'
        'from vadlab.utils.cli import run_cli\n'
        'from vadlab.utils.many_files import Engine, Ready, over_files\n'
        'def main():\n'
        f'    list(over_files(Ready(functools.partial(work, {str(tmp_path)!r})), range(8), Engine(workers=2)))\n'
        "if __name__ == '__main__':\n"
        '    run_cli(main)\n'
    )
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{tmp_path}'},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_ctrl_c_in_a_terminal_does_not_interrupt_the_clean_up(tmp_path):
    """There the workers get SIGINT twice: from the terminal and from the parent."""
    (tmp_path / 'cleaning.py').write_text('from tests.utils.test_many_files import slow_clean_up as work\n')
    process = run_script(tmp_path, 'cleaning')
    wait_for(lambda: len(list(tmp_path.glob('.*.part'))) == 2)
    for path in tmp_path.glob('.*.part'):
        os.kill(int(path.stem[1:]), signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert error == 'interrupted\n'
    assert process.returncode == 130
    assert not list(tmp_path.glob('.*.part'))


@pytest.mark.parametrize('which', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_its_processes_start(which, tmp_path):
    """The module of the work takes long to load, as torch does; each process that loads it leaves a note."""
    (tmp_path / 'loading.py').write_text(
        'import os, pathlib, sys, time\n'
        f'pathlib.Path({str(tmp_path)!r}, f"loads.{{os.getpid()}}").touch()\n'
        'if sys.argv[0] == "-c":\n'  # the process from which the others are forked
        '    time.sleep(2)\n'
        'def work(folder, number):\n'
        '    time.sleep(60)\n'
    )
    process = run_script(tmp_path, 'loading')
    wait_for(lambda: len(list(tmp_path.glob('loads.*'))) == 2)
    os.killpg(process.pid, which)
    _, error = process.communicate(timeout=60)
    assert error == 'interrupted\n'
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[which]


class Fragile:
    """Its destructor meets an error."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


def test_an_interruption_in_a_destructor_is_not_printed(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'unraisablehook', many_files._tell_unless_stopped)
    monkeypatch.setattr(many_files._Worker, 'is_stopped', True)
    Fragile(KeyboardInterrupt())
    gc.collect()
    assert capsys.readouterr().err == ''
    Fragile(ValueError('a fault'))
    gc.collect()
    assert 'ValueError: a fault' in capsys.readouterr().err


def test_killed_its_workers_end(tmp_path):
    """kill -9 of the process that started them: standard error is closed when the last one has ended."""
    code = (
        'import functools\nfrom tests.utils.test_many_files import long_work\n'
        'from vadlab.utils.many_files import Engine, Ready, over_files\n'
        f'list(over_files(Ready(functools.partial(long_work, {str(tmp_path)!r})), range(8), Engine(workers=2)))\n'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob('.*.part'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def test_wrong_engines_are_refused():
    with pytest.raises(ConfigError, match="engine='dask' is not one of processes, ray"):
        Engine('dask')
    with pytest.raises(ConfigError, match='workers=0 must be at least 1'):
        Engine(workers=0)
    with pytest.raises(ConfigError, match='--ray-address a:1 needs --engine ray'):
        Engine(address='a:1')
    with pytest.raises(ConfigError, match='--jobs must be at least 1, not 0'):
        Engine.of_models('ray', 0, None)
    assert Engine.of_models('processes', None, None) == Engine('processes', 1)
    assert Engine.of_models('ray', None, None) == Engine('ray', None)


def test_by_default_all_cores_that_the_process_may_use():
    """A process that is bound to one core is one worker, whatever the machine has."""
    code = 'import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n'
    code += 'from vadlab.utils.many_files import Engine; print(Engine(workers=None).count)'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == '1\n'
    assert Engine(workers=None).count == len(os.sched_getaffinity(0))
