"""Tools that run in a process of their own, one at a time in a folder; the tool is a script of the test."""

import multiprocessing
import os
import signal
import time

import pytest

from vadlab.apis import method_runs
from vadlab.utils.errors import TrainingError

# Notes its start, waits for a file called go, and notes its end.
SCRIPT = """
import pathlib, sys, time
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with open(folder / 'notes', 'a') as notes:
    print(f'{name} starts', file=notes, flush=True)
    while name == 'first' and not (folder / 'go').exists():
        time.sleep(0.02)
    print(f'{name} ends', file=notes)
"""


def notes(folder):
    return (folder / 'notes').read_text().splitlines() if (folder / 'notes').exists() else []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'train.py').write_text(SCRIPT)
    return tmp_path


def test_a_tool_whose_caller_was_killed_is_waited_for(folder, capfd):
    """Two trainings in one folder would overwrite each other."""
    context = multiprocessing.get_context('spawn')
    callers = [
        context.Process(target=method_runs.call_tool, args=(str(folder / 'train.py'), [str(folder), name], folder))
        for name in ('first', 'second')
    ]
    callers[0].start()
    deadline = time.monotonic() + 60
    while notes(folder) != ['first starts'] and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(callers[0].pid, signal.SIGKILL)
    callers[0].join()
    callers[1].start()
    said = ''
    while 'another process works in it. Waiting for its end' not in said and time.monotonic() < deadline:
        time.sleep(0.02)
        said += capfd.readouterr().out
    assert 'Waiting' in said
    assert notes(folder) == ['first starts']
    (folder / 'go').touch()
    callers[1].join(60)
    assert callers[1].exitcode == 0
    assert notes(folder) == ['first starts', 'first ends', 'second starts', 'second ends']


def test_the_end_of_what_a_failing_tool_said_is_in_the_message(folder):
    with pytest.raises(TrainingError, match=r'(?s)train\.py .* failed with status 1 .*IndexError'):
        method_runs.call_tool(str(folder / 'train.py'), [str(folder)], folder)
