"""Starts trainings as processes of their own without importing everything for each.

Reads one JSON list per line: ``["start", OUTPUT, ARGUMENT, ...]`` forks a process that runs ``tools/train.py`` and
answers with its id; ``["wait", ID]`` answers with its exit status, negative for a signal. It is started with one OpenMP
thread, since a fork inherits no threads.
"""

import importlib.util
import json
import os
import sys
import traceback
from multiprocessing.util import _exit_function
from pathlib import Path

from vadlab.utils import register_all_modules
from vadlab.utils.cli import run_cli

_spec = importlib.util.spec_from_file_location('train', Path(__file__).parents[2] / 'tools' / 'train.py')
train = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(train)


def start(output, arguments):
    """Fork a training; the process id."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else file, stream)
        sys.argv = ['tools/train.py', *arguments]
        run_cli(train.main, train.resume_command(sys.argv))
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        _exit_function()  # as when an interpreter ends: the processes that load data end first
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main():
    register_all_modules()
    print('ready', flush=True)
    for line in sys.stdin:
        action, *rest = json.loads(line)
        if action == 'start':
            answer = start(rest[0], rest[1:])
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1])
        print(answer, flush=True)


if __name__ == '__main__':
    main()
