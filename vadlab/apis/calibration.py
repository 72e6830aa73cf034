"""Calibrate the thresholds of events on footage without anomalies."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES
from vadlab.datasets.formats.feature_labels import find_label
from vadlab.datasets.video_names import video_id_of
from vadlab.evaluation.calibration import CalibrationFile, calibration_path, scoring_id
from vadlab.evaluation.functional.events import calibrate, find_events
from vadlab.structures.video_result import Event, Thresholds
from vadlab.utils.errors import DataError

from .inferencers.video_inputs import VideoInput, find_sources

if TYPE_CHECKING:
    from .inferencers.vad_inferencer import VADInferencer


@dataclass
class CalibrationReport:
    """Result of a calibration.

    Attributes:
        file (CalibrationFile): The file that was written.
        highest (list[tuple[str, Event]]): The events with the highest peaks, for a check by eye: name of the video, and
            event.
        failed (dict[str, str]): Why videos could not be scored, by name.
    """

    file: CalibrationFile
    highest: list[tuple[str, Event]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def calibrate_inferencer(
    inferencer: 'VADInferencer',
    inputs: VideoInput | Iterable[VideoInput],
    false_alarms_per_hour: float = 0.5,
    low_quantile: float = 0.95,
    min_s: float = 0.0,
    gap_s: float = 0.0,
    progress: bool = False,
) -> CalibrationReport:
    """Score footage without anomalies, choose thresholds and write them beside the checkpoint.

    Args:
        inferencer (VADInferencer): The model, with the prompts and the sampling that will be used.
        inputs: Videos, all without anomalies.
        false_alarms_per_hour (float): Wanted rate of false alarms, >= 0.
        low_quantile (float): Share of the frames below the low threshold, 0..1.
        min_s (float): Shortest event, in seconds.
        gap_s (float): Longest gap inside an event, in seconds.
        progress (bool): Show a progress bar.

    Raises:
        DataError: Names of videos are those of anomalies, or no video can be scored.
    """
    sources = find_sources(inputs)
    classes = tuple(getattr(inferencer.model, 'classes', None) or inferencer.config.get('classes') or ())
    named = [source.name for source in sources if _is_anomalous(source.name, classes or UCF_CRIME_CLASSES)]
    if named:
        raise DataError(
            f'{len(named)} of {len(sources)} videos have the name of an anomaly (first: {named[0]}). Thresholds are '
            'calibrated on footage without anomalies: leave these out, or rename them if they are normal.'
        )
    # Any thresholds will do: only scores are used.
    before, inferencer.thresholds = inferencer.thresholds, Thresholds(1e9, 1e9)
    report_failed: dict[str, str] = {}
    names: list[str] = []
    scores: list[np.ndarray] = []
    times: list[np.ndarray] = []
    ends: list[float] = []
    try:
        for result in inferencer([s.path if s.frames is None else s.frames for s in sources], *inferencer.prompts,
                                 progress=progress):  # fmt: skip
            if result.error is not None:
                report_failed[result.name] = result.error
                continue
            names.append(result.name)
            scores.append(result.scores)
            times.append(result.times)
            ends.append(result.duration_s)
    finally:
        inferencer.thresholds = before
    if not names:
        first = next(iter(report_failed.values()))
        raise DataError(f'No video can be scored; {len(sources)} failed (first: {first})')
    footage = f'{len(names)} videos'
    thresholds, calibration = calibrate(scores, times, ends, false_alarms_per_hour, low_quantile, min_s, gap_s, footage)
    path = calibration_path(inferencer.checkpoint, inferencer.config_path, *inferencer.prompts)
    file = CalibrationFile(
        path,
        thresholds,
        calibration,
        inferencer.weights_id,
        inferencer.sampled,
        inferencer.prompts[0] or (),
        scoring_id(inferencer.config.model),
    )
    file.save()
    every = Thresholds(thresholds.low, thresholds.low, min_s, gap_s)
    events = [
        (name, event)
        for name, score, time, end in zip(names, scores, times, ends, strict=True)
        for event in find_events(score, time, every, end)
    ]
    return CalibrationReport(file, sorted(events, key=lambda pair: -pair[1].score)[:3], report_failed)


def _is_anomalous(name: str, classes: tuple[str, ...]) -> bool:
    """Whether the class in a video's name is anomalous."""
    try:
        label = find_label(video_id_of(name), name, None, classes)
    except ValueError:  # a class of another data set
        return True
    return label is not None and label.label != 0
