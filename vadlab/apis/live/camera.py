"""One watched camera: its reader, events, clips, alarms, and its state for files, metrics and the terminal."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.structures.camera_state import (
    CURVE_STEP_S,
    MOST_CURVE_POINTS,
    CameraEvent,
    CameraState,
    OpenEvent,
    UnwrittenEvent,
    load_curve,
    utc_text,
)
from vadlab.structures.video_result import Thresholds
from vadlab.utils.errors import DataError, MissingFileError

from .camera_reader import PAUSES_S, CameraReader, LiveFrame, rate_of
from .camera_specs import CameraSpec
from .clips import Clip, ClipRecorder, ClipWriter
from .online_events import OnlineEvents, Running
from .stream_scorer import LiveScore

_LATENCIES = 1000  # frames over which quantiles are computed
#: Parts of the time from a frame's arrival to its score.
STAGES = ('decode', 'wait', 'convert', 'model')


@dataclass(frozen=True)
class WatchSettings:
    """Settings of all cameras.

    Attributes:
        rate (float): Frames to score per second and camera.
        cooldown_s (float): Seconds after an alarm without another one of the same camera.
        clip_before_s (float): Seconds of a clip before the event is certain.
        clip_after_s (float): Seconds of a clip after the end of the event.
        clip_most_s (float): Longest clip, in seconds, without the part before.
        clip_budget_bytes (int): Disk space of the clips of all cameras; 0 for no clips.
        speed (float): Files are read at this multiple of their rate.
        pauses_s (tuple[float, ...]): Pauses before a lost source is opened again, in seconds.
    """

    rate: float = 5.0
    cooldown_s: float = 60.0
    clip_before_s: float = 10.0
    clip_after_s: float = 5.0
    clip_most_s: float = 120.0
    clip_budget_bytes: int = 10 * 10**9
    speed: float = 1.0
    pauses_s: tuple[float, ...] = PAUSES_S


@dataclass
class _Begun:
    """An event that is certain, until it is over.

    Attributes:
        run (Running): The event.
        start (float): When it began, in seconds since 1970: all messages and files have the same number.
        clip (Clip | None): Its clip.
        is_told (bool): An alarm was given.
        note (str): Why there was no alarm, or is no clip.
    """

    run: Running
    start: float
    clip: Clip | None
    is_told: bool
    note: str


class Camera:
    """A camera and what is known about it. :meth:`add` and :meth:`check` are called by one thread.

    Args:
        spec (CameraSpec): The camera.
        settings (WatchSettings): Settings of all cameras.
        thresholds (Thresholds): Of events.
        context (int): Consecutive frames that the method needs.
        delay_s (float): Delay of the method, in seconds.
        work (threading.Condition): Is notified when a frame is due.
        writer (ClipWriter | None): Writes clips; None for no clips.
        folder (Path | None): Folder of the camera.
        on_note (Callable): Gets the camera's name and a text for the log.
        on_event (Callable): Gets events that are over, as soon as their clip is saved, and whether an alarm was given.
        on_alarm (Callable): Gets messages for webhook and MQTT.
    """

    def __init__(
        self,
        spec: CameraSpec,
        settings: WatchSettings,
        thresholds: Thresholds,
        context: int,
        delay_s: float,
        work: threading.Condition,
        writer: ClipWriter | None,
        folder: Path | None,
        on_note: Callable[[str, str], None],
        on_event: Callable[[CameraEvent, bool], None],
        on_alarm: Callable[[dict[str, Any]], None],
    ) -> None:
        self.spec, self.settings, self.thresholds, self.folder = spec, settings, thresholds, folder
        self.delay_s = delay_s
        self.cooldown_s = settings.cooldown_s if spec.cooldown_s is None else spec.cooldown_s
        self.recorder = None
        if writer is not None and folder is not None:
            self.recorder = ClipRecorder(
                folder, writer, settings.clip_before_s, settings.clip_after_s, settings.clip_most_s
            )
        self.reader = CameraReader(
            spec,
            settings.rate,
            context,
            work,
            self.recorder,
            lambda text: on_note(spec.name, text),
            settings.speed,
            settings.pauses_s,
        )
        self.scored = self.events = 0
        self.score: float | None = None
        #: Seconds of each of :data:`STAGES` of the last frames.
        self.stages: deque[tuple[float, ...]] = deque(maxlen=_LATENCIES)
        self.newest: LiveFrame | None = None
        self._on_note, self._on_event, self._on_alarm = on_note, on_event, on_alarm
        self._finder = OnlineEvents(thresholds)
        self._begun: _Begun | None = None
        self._saving: dict[float, UnwrittenEvent] = {}  # events that are over, until their clip is saved
        self._quiet_until = 0.0
        self._times: deque[float] = deque(maxlen=256)
        self._curve: deque[tuple[float, float]] = deque(maxlen=MOST_CURVE_POINTS)
        if folder is not None:
            with suppress(MissingFileError, DataError):  # a damaged curve is written again
                self._curve.extend(load_curve(folder))  # of an earlier run
        self._lock = threading.Lock()
        self._last_time: float | None = None

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self.spec.name

    # ------------------------------------------------------------------------------------------------ scores arrive

    def add(self, score: LiveScore, zone: str | None, counts: bool, taken: float, now: float) -> None:
        """Add the score of a frame.

        Args:
            score (LiveScore): The score.
            zone (str | None): The zone of the anomaly.
            counts (bool): Whether an anomaly counts: it is in a zone, and this is a time of the camera's hours.
            taken (float): When the frame was taken for scoring, in seconds of ``time.monotonic``.
            now (float): When it was scored.
        """
        frame = score.frame
        # A frame that was scored late belongs to an earlier batch, so only its total time is known.
        steps = (frame.decoded, max(taken, frame.decoded), max(score.prepared, taken), now)
        parts = tuple(end - start for start, end in zip((frame.arrival, *steps[:-1]), steps, strict=True))
        with self._lock:
            self.scored += 1
            self.score, self.newest = score.score, frame
            self.stages.append(parts)
            self._times.append(now)
            slot = epoch(frame.arrival) // CURVE_STEP_S * CURVE_STEP_S
            if self._curve and self._curve[-1][0] >= slot:
                self._curve[-1] = (self._curve[-1][0], max(self._curve[-1][1], score.score))
            else:
                self._curve.append((slot, score.score))
        value = score.score if counts else min(score.score, np.nextafter(self.thresholds.low, -np.inf))
        time_s = max(frame.arrival, self._last_time or frame.arrival)
        self._last_time = time_s
        self._handle(*self._finder.add(time_s, float(value), (score.label, score.reason, zone)), '')

    def check(self) -> None:
        """End the open event if the source is lost or over."""
        if self._last_time is None or self.reader.state == 'live':
            return
        why = 'cut: the source ended' if self.reader.state == 'ended' else 'cut: the source was lost'
        self.close(why)

    def close(self, why: str) -> None:
        """End the open event."""
        if self._last_time is not None:
            end = self._last_time + 1 / self.settings.rate
            self._last_time = None
            self._handle(*self._finder.finish(end), why)

    def stop(self) -> None:
        """End the open event and its clip."""
        self.close('cut: watching was stopped')
        if self.recorder is not None:
            self.recorder.stop()

    def _handle(self, began: Running | None, ended: Running | None, note: str) -> None:
        if ended is not None and ended is not began:
            self._end(ended, note)
        if began is not None:
            self._begin(began)
            if ended is began:
                self._end(began, note)

    def _begin(self, run: Running) -> None:
        start = epoch(run.start)
        if time.monotonic() < self._quiet_until:
            self._begun = _Begun(run, start, None, False, 'no alarm: in the cooldown of an earlier one')
            return
        clip, note = None, ''
        if self.recorder is not None:
            clip = self.recorder.begin(start)
            note = '' if clip is not None else 'no clip: the source has no packets that can be stored'
        self._begun = begun = _Begun(run, start, clip, True, note)
        label, reason, zone = run.about
        self._on_note(self.name, f'event: {label or "anomaly"} {run.score:.3f}{_at_zone(zone)} ({reason})')
        self._on_alarm(
            {'kind': 'event began', **self._event(begun, run.peak, note).to_json(), 'end': None, 'end_utc': None}
        )

    def _end(self, run: Running, note: str) -> None:
        begun = self._begun
        assert begun is not None
        assert run.end is not None
        self.events += 1
        if begun.is_told:
            self._quiet_until = time.monotonic() + self.cooldown_s
        notes = '; '.join(part for part in (note, begun.note) if part)
        event = self._event(begun, run.end, notes, begun.clip)
        is_told = begun.is_told
        if begun.clip is None or self.recorder is None:
            self._tell(event, is_told)
            self._begun = None
            return
        with self._lock:
            self._saving[event.start] = UnwrittenEvent(event, is_open=False, is_told=is_told)
            self._begun = None

        def finished(clip: Clip) -> None:
            notes = '; '.join(part for part in (event.note, clip.fault) if part)
            saved = clip.name if clip.is_saved else None
            self._tell(replace(event, clip=saved, note=notes), is_told)
            with self._lock:
                del self._saving[event.start]

        self.recorder.end(begun.clip, finished)

    def _tell(self, event: CameraEvent, is_told: bool) -> None:
        self._on_event(event, is_told)
        if is_told:
            self._on_alarm({'kind': 'event ended', **event.to_json()})

    def _event(self, begun: _Begun, end: float, note: str, clip: Clip | None = None) -> CameraEvent:
        run = begun.run
        label, reason, zone = run.about
        name = None if clip is None else clip.name
        return CameraEvent(
            self.name, begun.start, epoch(end), epoch(run.peak), run.score, label, reason, zone, name, note
        )

    def _unwritten(self) -> tuple[UnwrittenEvent, ...]:
        """Events that are open, or wait for their clip."""
        with self._lock:
            begun, last, saving = self._begun, self._last_time, tuple(self._saving.values())
        if begun is None:
            return saving
        # of a frame that was scored meanwhile, only the newest values are missing
        end = begun.run.peak if last is None else last + 1 / self.settings.rate
        event = self._event(begun, end, begun.note, begun.clip)
        return (*saving, UnwrittenEvent(event, is_open=True, is_told=begun.is_told))

    # ------------------------------------------------------------------------------------------------ what is shown

    def state(self, deleted: int = 0, fault: str = '') -> CameraState:
        """The state now.

        Args:
            deleted (int): Clips that were deleted to keep the disk budget.
            fault (str): What is wrong with files, for the message.
        """
        reader = self.reader
        with self._lock:
            totals = [sum(parts) for parts in self.stages]
            newest, score, scored = self.newest, self.score, self.scored
            scored_fps = rate_of(self._times)
        median, p99 = (np.quantile(totals, (0.5, 0.99)).tolist()) if totals else (None, None)
        run = self._finder.open_event
        lag = None if newest is None else time.monotonic() - newest.arrival + newest.backlog_s
        return CameraState(
            name=self.name,
            state=reader.state,
            message='; '.join(part for part in (reader.message, fault) if part),
            source=self.spec.shown,
            size=reader.size,
            source_fps=reader.source_fps,
            scored_fps=scored_fps,
            read=reader.read,
            scored=scored,
            skipped=reader.skipped,
            dropped=reader.dropped,
            reconnects=reader.reconnects,
            lag_s=lag,
            latency_median_s=median,
            latency_p99_s=p99,
            delay_s=self.delay_s,
            score=score,
            threshold=self.thresholds.high,
            open_event=None if run is None else _open_event(run),
            events=self.events,
            clips_deleted=deleted,
            updated=time.time(),
            unwritten=self._unwritten(),
        )

    def curve(self) -> list[tuple[float, float]]:
        """Points of the curve of the last hour."""
        with self._lock:
            return [point for point in self._curve if point[0] > time.time() - MOST_CURVE_POINTS * CURVE_STEP_S]


def _open_event(run: Running) -> OpenEvent:
    label, _, zone = run.about
    return OpenEvent(epoch(run.start), epoch(run.peak), run.score, label, zone)


def _at_zone(zone: str | None) -> str:
    return f' in {zone}' if zone else ''


def epoch(time_s: float) -> float:
    """Seconds since 1970 of a time of ``time.monotonic``, which no correction of the clock moves back."""
    return time_s + time.time() - time.monotonic()


def event_line(event: CameraEvent) -> str:
    """An event that is over, as a line for the log."""
    parts = [f'{event.label or "anomaly"} {event.score:.3f}{_at_zone(event.zone)}']
    parts.append(f'from {utc_text(event.start)} for {event.end - event.start:.1f} s')
    parts += [event.clip] if event.clip else []
    parts += [event.note] if event.note else []
    return 'event over: ' + ', '.join(parts)
