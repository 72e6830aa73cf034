"""Events of a stream of scores, frame by frame, by the rules of ``vadlab/evaluation/functional/events.py``."""

from dataclasses import dataclass
from typing import Any

from vadlab.structures.video_result import Thresholds

_TINY_S = 1e-6  # as in find_events: differences of times have a rounding error


@dataclass
class Running:
    """A stretch at or above the low threshold, with its short gaps.

    Attributes:
        start (float): Time of its first frame, in seconds.
        peak (float): Time of its highest score.
        score (float): This score.
        about (Any): What came with the frame of the highest score, such as its classes.
        end (float | None): Where its last part ended; None while scores are at or above the low threshold.
        is_event (bool): It reached the high threshold and lasts long enough, so it is an event.
    """

    start: float
    peak: float
    score: float
    about: Any = None
    end: float | None = None
    is_event: bool = False


class OnlineEvents:
    """Finds events while scores arrive. A gap is over as soon as it is longer than ``gap_s``.

    The events are those that ``find_events`` finds in the whole sequence. Each is reported twice: when it is certain
    that it is one, and when it is over.

    Args:
        thresholds (Thresholds): The thresholds of events.

    Example:
        >>> found = OnlineEvents(Thresholds(high=0.8, low=0.5))
        >>> for time, score in enumerate([0.1, 0.6, 0.9, 0.6, 0.1, 0.1]):
        ...     began, ended = found.add(float(time), score)
        ...     if began or ended:
        ...         print(time, began is not None, ended and (ended.start, ended.end, ended.peak))
        2 True None
        5 False (1.0, 4.0, 2.0)
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self._run: Running | None = None

    @property
    def open_event(self) -> Running | None:
        """The event that is not over."""
        return self._run if self._run is not None and self._run.is_event else None

    def add(self, time: float, score: float, about: Any = None) -> tuple[Running | None, Running | None]:
        """Add the score of the next frame.

        Args:
            time (float): Time of the frame, in seconds, not before that of the frame before.
            score (float): Its score.
            about (Any): Kept for the frame of the highest score.

        Returns:
            tuple[Running | None, Running | None]: The event that is certain from now on, and the event that is over.
            If both are the same event, it became certain by its end.
        """
        run, ended, began = self._run, None, None
        is_high = score >= self.thresholds.low
        if run is not None and run.end is None and not is_high:
            run.end = time
        if run is not None and run.end is not None and time - run.end > self.thresholds.gap_s + _TINY_S:
            began, ended = self._close(run)
            run = self._run = None
        if is_high:
            if run is None:
                run = self._run = Running(time, time, score, about)
            run.end = None
            if score > run.score:
                run.peak, run.score, run.about = time, score, about
        if run is not None and self._became_event(run, time if run.end is None else run.end):
            began = run
        return began, ended

    def finish(self, time: float) -> tuple[Running | None, Running | None]:
        """End the stream, such as when its source is lost; returns as :meth:`add` does.

        Args:
            time (float): When the last frame ends, in seconds.
        """
        run, self._run = self._run, None
        if run is None:
            return None, None
        if run.end is None:
            run.end = time
        return self._close(run)

    def _close(self, run: Running) -> tuple[Running | None, Running | None]:
        assert run.end is not None
        began = run if self._became_event(run, run.end) else None
        return began, run if run.is_event else None

    def _became_event(self, run: Running, until: float) -> bool:
        if run.is_event or run.score < self.thresholds.high or until - run.start < self.thresholds.min_s - _TINY_S:
            return False
        run.is_event = True
        return True
