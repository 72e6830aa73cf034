import io
import logging
import re
import sys

from vadlab.engine.hooks.progress_bar_hook import ProgressBarHook


class Terminal(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


class Runner:
    epoch, max_epochs, train_dataloader = 0, 2, range(4)
    logger = logging.Logger('run')


def run(monkeypatch, is_terminal):
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(sys, 'stderr', terminal)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '100')
    handler = logging.StreamHandler(terminal)
    Runner.logger.addHandler(handler)
    hook = ProgressBarHook(width=4)
    hook.before_run(Runner)
    for i in range(4):
        hook.before_train_iter(Runner, i)
        if i % 2:
            Runner.logger.info(f'line {i}')
    hook.after_train_epoch(Runner)
    hook.after_run(Runner)
    Runner.logger.removeHandler(handler)
    assert sys.stderr is terminal  # rich replaces it while the bar is drawn
    assert not Runner.logger.filters
    return terminal.getvalue()


def screen(written):
    """Lines that a terminal shows, by the four control sequences that the bar uses."""
    lines, row = [''], 0
    for part in re.split(r'(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)', written):
        if part == '\n':
            row += 1
            lines += [''] * (row == len(lines))
        elif part == '\x1b[1A':
            row -= 1
        elif part in ('\r', '\x1b[2K'):
            lines[row] = '' if part == '\x1b[2K' else lines[row]
        elif not part.startswith('\x1b'):
            lines[row] += part
    return [line for line in lines if line]


def test_the_bar_shows_the_batch_and_leaves_only_the_lines_of_the_log(monkeypatch):
    written = run(monkeypatch, True)
    plain = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', written)
    assert re.search(r'epoch 1/2 \S{4} 2/4 0:00:00 <', plain)
    assert screen(written) == ['line 1', 'line 3']


def test_silent_where_there_is_no_terminal(monkeypatch):
    assert run(monkeypatch, False) == 'line 1\nline 3\n'
