"""Progress of long commands: a bar of rich on a terminal, occasional lines elsewhere."""

import sys
import time
import weakref
from typing import TYPE_CHECKING

from .printable import is_terminal, printable, say

if TYPE_CHECKING:
    from rich.progress import Progress


_bars: 'weakref.WeakSet[ProgressBar]' = weakref.WeakSet()


def hide_bars() -> None:
    """Remove all bars from the terminal, and show its cursor again; for the end of a program."""
    for bar in list(_bars):
        bar.hide()


class ProgressBar:
    """Progress bar on standard error, with an estimate of the remaining time; a context manager.

    It can be passed as the ``progress`` argument of functions that report ``(done, total)``.

    Args:
        what (str): Plural noun for the counted items, such as ``videos``.
        total (float | None): Number of items; None takes it from the calls.
        line_every_s (float | None): Seconds between lines if standard error is not a terminal; None writes none.
        as_share (bool): Show percent instead of counts.
        vanishes (bool): Remove the bar when everything is done; the next call draws a new one.
        width (int): Width of the bar in characters, without the texts beside it.
    """

    def __init__(
        self,
        what: str,
        total: float | None = None,
        line_every_s: float | None = None,
        as_share: bool = False,
        vanishes: bool = False,
        width: int = 40,
    ) -> None:
        self.what = what
        self.total = total
        self.done = 0.0
        self.line_every_s = line_every_s
        self.as_share = as_share
        self.vanishes = vanishes
        self.width = width
        self._start = self._last_line = time.monotonic()
        self._at_start: float | None = None
        self._bar: Progress | None = None
        _bars.add(self)

    def __enter__(self) -> 'ProgressBar':
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def __call__(self, done: float, total: float | None = None, note: str = '') -> None:
        """Show progress.

        Args:
            done (float): Number of finished items. Items of the first call, and of calls in the first second, were done
                before: they do not count for the estimate.
            total (float | None): Number of items, if it changed.
            note (str): Text beside the bar, such as the name of a file.
        """
        self.done, self.total = done, self.total if total is None else total
        if self._at_start is None or time.monotonic() - self._start < 1.0:
            self._at_start = done
        if is_terminal(sys.stderr):
            self._draw(note)
        elif self.line_every_s is not None and time.monotonic() - self._last_line >= self.line_every_s:
            self._last_line = time.monotonic()
            say(self._line(note), file=sys.stderr)

    def advance(self, note: str = '') -> None:
        """Count one more item as done."""
        self(self.done + 1, note=note)

    def hide(self) -> None:
        """Remove a bar that ``vanishes`` from the terminal until the next call, so that other lines can be written."""
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, note: str) -> None:
        if self._bar is None:
            self._bar = self._new_bar()
            self._bar.add_task(self.what, total=self.total, note='')
        self._bar.update(self._bar.task_ids[0], completed=self.done, total=self.total, note=printable(note))
        self._bar.start()
        if self.vanishes and self.total is not None and self.done >= self.total:
            self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _new_bar(self) -> 'Progress':
        # Most commands end before they show a bar, and rich takes a tenth of a second to load.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn('{task.description}', markup=False),
            BarColumn(bar_width=self.width),
            TaskProgressColumn() if self.as_share else MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('<'),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn('{task.fields[note]}', markup=False),
            console=Console(stderr=True),
            transient=self.vanishes,
            redirect_stdout=is_terminal(sys.stdout),  # rich would write what goes to a file to the terminal
        )

    def _line(self, note: str) -> str:
        total = self.total or 0.0
        made = self.done - (self._at_start or 0.0)
        how_much = f'{self.done / max(total, 1e-9):.1%}' if self.as_share else f'{self.done:,.0f} of {total:,.0f}'
        line = f'{self.what}: {how_much}'
        if made > 0:
            left_s = max(total - self.done, 0.0) * (time.monotonic() - self._start) / made
            line += f', about {left_s / 60:.0f} minutes left'
        return line + (f' ({note})' if note else '')
