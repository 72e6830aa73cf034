"""Scores live cameras until it is stopped: the loop, and what starts and stops around it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vadlab.apis.inferencers.result_folder import claim_folder
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.evaluation.calibration import UNCALIBRATED, find_calibration, scoring_id
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.structures.camera_state import CameraEvent, CameraState
from vadlab.structures.video_result import RUN_FILE, Thresholds
from vadlab.utils.errors import ConfigError, DataError

from .camera import STAGES, Camera, WatchSettings, epoch, event_line
from .camera_reader import LiveFrame
from .camera_specs import CameraSpec
from .clips import ClipWriter
from .display import state_line
from .metrics import MetricsServer
from .mqtt import MQTTPublisher
from .state_files import LOG_FILE, StateFiles, events_of_killed_run, lock_folder, open_log
from .stream_scorer import FrameStream, WindowStream, ZoneCheck, live_scorer, warm_up
from .webhook import Webhook

_FIRST_TRY_S = 15.0  # until a source has answered, or never will
_STOP_S = 10.0
_USUAL_FPS = 25.0


class Watch:
    """Watches cameras with a detector.

    ::

        camera 1: reader thread -> newest frame -+
        camera 2: reader thread -> newest frame -+-> one batch -> model -> events -> files, clips, webhook, MQTT
        ...                                      |                         (threads of their own)

    Args:
        inferencer (VADInferencer): The model.
        specs (Sequence[CameraSpec]): The cameras.
        settings (WatchSettings): Rates, cooldown, clips.
        out (Path | None): Folder of the run; None writes no files and no clips.
        thresholds (Thresholds | None): Of events; by default those of the calibration beside the checkpoint.
        webhook (Webhook | None): Gets alarms.
        mqtt (MQTTPublisher | None): Gets alarms and states.
        metrics_port (int | None): Port of Prometheus metrics on loopback.
        on_line (Callable | None): Gets lines for people: events, and what goes wrong.

    Raises:
        ConfigError: The method cannot score live, zones need boxes that it does not find, the calibration is of
            another checkpoint, or ``out`` or the port cannot be used.
    """

    def __init__(
        self,
        inferencer: VADInferencer,
        specs: Sequence[CameraSpec],
        settings: WatchSettings | None = None,
        out: Path | None = None,
        thresholds: Thresholds | None = None,
        webhook: Webhook | None = None,
        mqtt: MQTTPublisher | None = None,
        metrics_port: int | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings or WatchSettings()
        self.scorer: FrameStream | WindowStream = live_scorer(inferencer)
        self.zone_check = ZoneCheck(inferencer) if any(spec.zones for spec in specs) else None
        self.thresholds = thresholds or live_thresholds(inferencer)
        self.delay_s = self.scorer.late / self.settings.rate + getattr(self.scorer, 'late_frames', 0) / _USUAL_FPS
        self.work = threading.Condition()
        self._on_line = on_line or (lambda text: None)
        self._log: logging.Handler | None = None
        self._webhook, self._mqtt = webhook, mqtt
        for receiver in (webhook, mqtt):
            if receiver is not None:
                receiver.on_note = self.note  # so that it is in the log, too
        self._resources = ExitStack()
        self._states_told: dict[str, str] = {}
        self.writer: ClipWriter | None = None
        if out is not None:
            _refuse_reserved(specs)
            claim_folder(out, replace(inferencer.run_info(), thresholds=self.thresholds, protocol='live'))
            self._resources.callback(lock_folder(out).close)
            self._log = open_log(out)
            self._resources.callback(self._log.close)
            if self.settings.clip_budget_bytes:
                folders = [out / spec.name for spec in specs]
                self.writer = ClipWriter(folders, self.settings.clip_budget_bytes, self.note)
        self.cameras = [
            Camera(
                spec,
                self.settings,
                self.thresholds,
                self.scorer.context,
                self.delay_s,
                self.work,
                self.writer,
                None if out is None else out / spec.name,
                lambda name, text: self.note(f'{name}: {text}'),
                self._event_is_over,
                self._alarm,
            )
            for spec in specs
        ]
        self._of_name = {camera.name: camera for camera in self.cameras}
        self._out = out
        self.files = None if out is None else StateFiles(self.cameras, self.writer, self.note)
        self._metrics = None
        try:
            self._metrics = None if metrics_port is None else MetricsServer(metrics_port, self.states)
        except BaseException:
            self._resources.close()
            raise

    def note(self, text: str) -> None:
        """Write a line to the log and for people."""
        if self._log is not None:
            self._log.handle(logging.makeLogRecord({'msg': text, 'levelno': logging.INFO}))
        self._on_line(text)

    def states(self) -> list[CameraState]:
        """States of all cameras."""
        deleted = {} if self.writer is None else self.writer.deleted_of
        return [camera.state(deleted.get(camera.folder or Path(), 0)) for camera in self.cameras]

    # ------------------------------------------------------------------------------------------------------ the run

    def run(self, halt: threading.Event) -> None:
        """Watch until ``halt`` is set or all sources are over.

        Args:
            halt (threading.Event): Ends the run.

        Raises:
            DataError: Sources can never be read: no such file, no video, a refused login.
        """
        with self._resources, torch.inference_mode(), steady_weights():
            warm_up(self.scorer)
            try:
                self._start(halt)
                while not halt.is_set():
                    if not self._step() and all(camera.reader.is_over for camera in self.cameras):
                        break
            finally:
                self._stop()

    def _start(self, halt: threading.Event) -> None:
        for thread in (self.writer, self._webhook):
            if thread is not None:
                thread.start()
        if self._mqtt is not None:
            self._mqtt.start()
        self._write_events_of_killed_run()
        for camera in self.cameras:
            camera.reader.start()
        end = time.monotonic() + _FIRST_TRY_S
        for camera in self.cameras:
            while not camera.reader.first_try.wait(0.1) and time.monotonic() < end and not halt.is_set():
                pass
        faults = [
            f'{one.name} ({one.spec.shown}): {one.reader.final_fault}' for one in self.cameras if one.reader.final_fault
        ]
        if faults:
            raise DataError(f'{len(faults)} of {len(self.cameras)} sources cannot be read. ' + '; '.join(faults) + '.')
        if self.files is not None:
            self.files.start()

    def _write_events_of_killed_run(self) -> None:
        """Write events that were open when an earlier run was killed; their "event ended" is still due, too."""
        if self.files is None or self._out is None:
            return
        for folder, event, is_told in events_of_killed_run(self._out, self.note):
            self._event_is_over(event, is_told, folder)
            if is_told:
                self._alarm({'kind': 'event ended', **event.to_json()})
        with suppress(OSError):  # a full disk is told by the thread, which tries again
            self.files.write_events()

    def _step(self) -> bool:
        """Score the frames that are due; return whether there were some."""
        with self.work:
            self.work.wait_for(lambda: any(camera.reader.has_frame for camera in self.cameras), 0.2)
            batch = [(camera.name, frame) for camera in self.cameras if (frame := camera.reader.take()) is not None]
        if batch:
            self._score(batch)
        for camera in self.cameras:
            if camera.reader.state != 'live' and not camera.reader.has_frame:
                camera.check()
            self._tell_state(camera)
        return bool(batch)

    def _score(self, batch: list[tuple[str, LiveFrame]]) -> None:
        taken = time.monotonic()
        scores = self.scorer(batch, time.monotonic)
        now = time.monotonic()
        for name, score in scores:
            camera, zone, counts = self._of_name[name], None, True
            if not np.isfinite(score.score):
                raise ConfigError('The model returns scores that are not finite. Check its weights.')
            if camera.spec.hours is not None:
                counts = camera.spec.hours.contains(epoch(score.frame.arrival))
            if counts and camera.spec.zones and score.score >= self.thresholds.low:
                assert self.zone_check is not None
                zone, reason = self.zone_check(score, camera.spec.zones)
                counts = zone is not None
                score = replace(score, reason=reason or score.reason)
                now = time.monotonic()
            camera.add(score, zone, counts, taken, now)

    def _stop(self) -> None:
        for camera in self.cameras:
            camera.reader.stop()
        for camera in self.cameras:
            camera.stop()
        if self.writer is not None and self.writer.is_alive():
            self.writer.stop(_STOP_S)
        for camera in self.cameras:
            if camera.reader.is_alive():
                camera.reader.join(0.5)
            self._tell_state(camera)
        if self.files is not None:
            if self.files.is_alive():
                self.files.stop(_STOP_S)
            elif any(camera.reader.connections for camera in self.cameras):
                self.files.write()
        if self._webhook is not None:
            self._webhook.stop(_STOP_S / 2)
        if self._mqtt is not None:
            self._mqtt.stop(_STOP_S / 2)
        if self._metrics is not None:
            self._metrics.stop()

    # --------------------------------------------------------------------------------------------- what comes of it

    def _event_is_over(self, event: CameraEvent, is_told: bool, folder: Path | None = None) -> None:
        self.note(f'{event.camera}: {event_line(event)}')
        folder = folder or self._of_name[event.camera].folder
        if self.files is not None and folder is not None:
            self.files.add_event(folder, event, is_told)

    def _alarm(self, message: dict[str, Any]) -> None:
        for receiver in (self._webhook, self._mqtt):
            if receiver is not None:
                receiver.send(message)
        if self.files is not None:
            self.files.write_soon()

    def _tell_state(self, camera: Camera) -> None:
        state = camera.reader.state
        if self._mqtt is not None and self._states_told.get(camera.name) != state:
            self._states_told[camera.name] = state
            self._mqtt.send_state(camera.name, state, camera.reader.message)

    def summary(self) -> list[str]:
        """Lines about the run: each camera, and the parts of the latency."""
        lines = [state_line(state) for state in self.states()]
        table = self.stage_table()
        if table:
            parts = ', '.join(f'{name} {1000 * m:.0f} ms (p99 {1000 * p:.0f})' for name, (m, p) in table.items())
            lines.append(f'latency, median: {parts}')
        return lines

    def stage_table(self) -> dict[str, tuple[float, float]]:
        """Median and 99th percentile in seconds of each part of the latency, over all cameras."""
        parts = np.array([stage for camera in self.cameras for stage in list(camera.stages)])
        if not len(parts):
            return {}
        columns = {name: parts[:, place] for place, name in enumerate(STAGES)} | {'total': parts.sum(1)}
        return {name: (float(np.median(values)), float(np.quantile(values, 0.99))) for name, values in columns.items()}


def _refuse_reserved(specs: Sequence[CameraSpec]) -> None:
    bad = next((spec.name for spec in specs if spec.name.lower() in (RUN_FILE, LOG_FILE)), None)
    if bad is not None:
        raise ConfigError(f'{bad!r} cannot name a camera: --out has a file of this name.')


def live_thresholds(inferencer: VADInferencer) -> Thresholds:
    """Thresholds of the calibration beside the checkpoint, or a probability of 0.5 without one.

    Raises:
        ConfigError: The calibration is of another checkpoint.
    """
    prompts, negatives = inferencer.prompts
    found = find_calibration(inferencer.checkpoint, inferencer.config_path, prompts, negatives)
    if found is None:
        return UNCALIBRATED
    if why := found.why_other(inferencer.weights_id, scoring=scoring_id(inferencer.config.model)):
        raise ConfigError(f'{found.path} cannot be used: {why}, or set --threshold HIGH LOW.')
    return found.thresholds
