import io
import sys

import pytest

from vadlab.utils import progress
from vadlab.utils.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def become_terminal(monkeypatch):
    """Make standard error a terminal; pytest replaces it between a fixture and its test."""
    stream = Terminal()
    monkeypatch.setattr(sys, 'stderr', stream)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '100')
    return stream


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


def test_a_terminal_gets_a_bar_with_notes_as_they_are(monkeypatch):
    terminal = become_terminal(monkeypatch)
    with ProgressBar('videos', 4) as bar:
        for _ in range(3):
            bar.advance('[red]a\x1b[31m.mp4')
    shown = terminal.getvalue()
    assert 'videos' in shown
    assert '3/4' in shown
    assert r'[red]a\x1b[31m.mp4' in shown


def test_a_bar_that_vanishes_is_drawn_again(monkeypatch):
    terminal = become_terminal(monkeypatch)
    with ProgressBar('files', vanishes=True) as bar:
        bar(1, 2)
        bar(2, 2)
        assert bar._bar is None
        bar(0, 7)
        assert bar._bar is not None
    assert bar._bar is None
    assert '0/7' in terminal.getvalue()


def test_elsewhere_lines_come_now_and_then(clock, capsys):
    with ProgressBar('clips', line_every_s=30) as bar:
        bar(100, 400)  # these were there before
        for second, done in ((10, 110), (31, 150), (45, 180), (75, 250)):
            clock[0] = second
            bar(done, 400)
    assert capsys.readouterr().err.splitlines() == [
        'clips: 150 of 400, about 3 minutes left',
        'clips: 250 of 400, about 1 minutes left',
    ]


def test_shares(clock, capsys):
    with ProgressBar('features', 2000, line_every_s=30, as_share=True) as bar:
        clock[0] = 40
        bar(500, note='a.mp4')
        clock[0] = 80
        bar(1000, note='b.mp4')
    lines = capsys.readouterr().err.splitlines()
    assert lines == ['features: 25.0% (a.mp4)', 'features: 50.0%, about 3 minutes left (b.mp4)']


def test_silent_elsewhere_without_lines(clock, capsys):
    with ProgressBar('videos', 2) as bar:
        clock[0] = 100
        bar.advance()
    assert capsys.readouterr().err == ''


def test_output_to_a_file_does_not_go_to_the_terminal(monkeypatch):
    """rich redirects standard output to the terminal of the bar, also where it is a file."""
    terminal = become_terminal(monkeypatch)
    file = io.StringIO()
    monkeypatch.setattr(sys, 'stdout', file)
    with ProgressBar('videos', 4) as bar:
        bar.advance()
        print('a result')
    assert file.getvalue() == 'a result\n'
    assert 'a result' not in terminal.getvalue()


def test_the_end_of_a_program_shows_the_cursor_again(monkeypatch):
    terminal = become_terminal(monkeypatch)
    bar = ProgressBar('videos', 4, vanishes=True)
    bar.advance()
    assert not terminal.getvalue().endswith('\x1b[?25h')
    progress.hide_bars()
    assert '\x1b[?25h' in terminal.getvalue()
    assert sys.stderr is terminal
