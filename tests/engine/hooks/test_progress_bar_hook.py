import io
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


def run(monkeypatch, is_terminal):
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(sys, 'stderr', terminal)
    hook = ProgressBarHook(width=4)
    hook.before_run(Runner)
    for i in range(4):
        hook.before_train_iter(Runner, i)
        hook.after_train_iter(Runner, i)
    return terminal.getvalue()


def test_draws_and_clears(monkeypatch):
    written = run(monkeypatch, True)
    assert 'epoch 1/2 [##..] 2/4' in written
    assert written.endswith('\r\033[K')


def test_silent_where_there_is_no_terminal(monkeypatch):
    assert run(monkeypatch, False) == ''
