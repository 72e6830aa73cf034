"""Shows the states of cameras: a table on a terminal, and a line per camera in the log now and then."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from vadlab.structures.camera_state import CameraState
from vadlab.utils.printable import is_terminal, printable

_EVERY_S = 1.0


class StatusDisplay(threading.Thread):
    """Shows states until :meth:`stop`.

    Args:
        states (Callable): Returns the states of all cameras.
        log (Callable): Gets the lines for the log.
        log_every_s (float): Seconds from one line per camera to the next.
    """

    def __init__(self, states: Callable[[], list[CameraState]], log: Callable[[str], None], log_every_s: float) -> None:
        super().__init__(name='status', daemon=True)
        self._states, self._log, self._log_every_s = states, log, log_every_s
        self._halt = threading.Event()

    def run(self) -> None:
        """Draw the table once a second if standard error is a terminal; write lines to the log."""
        last = time.monotonic()
        if not is_terminal(sys.stderr):
            while not self._halt.wait(self._log_every_s):
                self._write_lines()
            return
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), auto_refresh=False, redirect_stdout=is_terminal(sys.stdout)) as live:
            while not self._halt.wait(_EVERY_S):
                live.update(status_table(self._states()), refresh=True)
                if time.monotonic() - last >= self._log_every_s:
                    last = time.monotonic()
                    self._write_lines()

    def stop(self) -> None:
        """Remove the table."""
        self._halt.set()
        self.join(2 * _EVERY_S)

    def _write_lines(self) -> None:
        for state in self._states():
            self._log(state_line(state))


def state_line(state: CameraState) -> str:
    """The state of a camera as a line of the log."""
    text = f'{state.name}: {state.state}'
    text += f' ({state.message})' if state.message else ''
    return (
        f'{text}, {_shown(state.source_fps)} frames/s in, {_shown(state.scored_fps)} scored, '
        f'{state.read} read, {state.scored} scored, {state.dropped} dropped, lag {_shown(state.lag_s, " s")}, '
        f'latency {_shown(state.latency_median_s, " ms", 1000, 0)} median, '
        f'{_shown(state.latency_p99_s, " ms", 1000, 0)} p99, score {_shown(state.score, digits=3)}, '
        f'{state.events} events'
    )


def status_table(states: Sequence[CameraState]) -> Any:
    """The states as a table of rich."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name, side in (
        ('camera', 'left'), ('state', 'left'), ('in/s', 'right'), ('scored/s', 'right'), ('dropped', 'right'),
        ('lag', 'right'), ('latency', 'right'), ('p99', 'right'), ('score', 'right'), ('events', 'right'),
    ):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=name != 'state')  # type: ignore[arg-type]
    for state in states:
        what = state.state + (f': {state.message}' if state.message else '')
        score = _shown(state.score, digits=3) + (' !' if state.open_event else '')
        cells = [
            state.name, what, _shown(state.source_fps), _shown(state.scored_fps), str(state.dropped),
            _shown(state.lag_s, ' s'), _shown(state.latency_median_s, ' ms', 1000, 0),
            _shown(state.latency_p99_s, ' ms', 1000, 0), score, str(state.events),
        ]  # fmt: skip
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _shown(value: float | None, unit: str = '', scale: float = 1, digits: int = 1) -> str:
    return '-' if value is None else f'{value * scale:.{digits}f}{unit}'
