"""Calibrate the thresholds of events on footage without anomalies."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES
from vadlab.datasets.formats.feature_labels import find_label
from vadlab.datasets.formats.imported_annotations import is_normal
from vadlab.datasets.formats.temporal_annotations import intervals_to_mask, read_temporal_annotations
from vadlab.datasets.temporal_truth import outside
from vadlab.datasets.video_names import video_id_of
from vadlab.evaluation.calibration import CalibrationFile, calibration_path, scoring_id
from vadlab.evaluation.functional.events import calibrate, false_alarms
from vadlab.structures.video_result import Calibration, Event, Thresholds
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.option_checks import require_file

from .inferencers.video_inputs import VideoInput, VideoSource, find_sources

if TYPE_CHECKING:
    from .inferencers.vad_inferencer import VADInferencer


@dataclass(frozen=True)
class HighPeak:
    """A high peak of the footage, for a check by eye.

    Attributes:
        name (str): The video.
        event (Event): The event with the peak.
        high_without (float | None): The high threshold without this video; None if no footage is left.
    """

    name: str
    event: Event
    high_without: float | None


@dataclass
class CalibrationReport:
    """Result of a calibration.

    Attributes:
        file (CalibrationFile): The file that was written.
        highest (list[HighPeak]): The events with the highest peaks.
        failed (dict[str, str]): Why videos could not be scored, by name.
        annotated (int): Number of videos of which an annotation has anomalous frames.
    """

    file: CalibrationFile
    highest: list[HighPeak] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    annotated: int = 0


class _Scored(NamedTuple):
    """A scored video.

    Attributes:
        truth (np.ndarray): Its known anomalous frames, shape (K, 2).
    """

    name: str
    scores: np.ndarray
    times: np.ndarray
    end_s: float
    truth: np.ndarray

    def is_normal(self) -> np.ndarray:
        return ~intervals_to_mask(self.truth, len(self.scores))


def calibrate_inferencer(
    inferencer: 'VADInferencer',
    inputs: VideoInput | Iterable[VideoInput],
    false_alarms_per_hour: float = 0.5,
    low_quantile: float = 0.95,
    min_s: float = 0.0,
    gap_s: float = 0.0,
    progress: bool = False,
    annotation: str | os.PathLike | None = None,
) -> CalibrationReport:
    """Score footage without anomalies, choose thresholds and write them beside the checkpoint.

    Args:
        inferencer (VADInferencer): The model, with the prompts and the sampling that will be used.
        inputs: Videos, all without anomalies apart from those in ``annotation``.
        false_alarms_per_hour (float): Wanted rate of false alarms, >= 0.
        low_quantile (float): Share of the frames below the low threshold, 0..1.
        min_s (float): Shortest event, in seconds.
        gap_s (float): Longest gap inside an event, in seconds.
        progress (bool): Show a progress bar.
        annotation (str | PathLike | None): Temporal annotation: its anomalous frames do not count, nor do events that
            overlap them.

    Raises:
        MissingFileError: There is no such video or annotation.
        DataError: Names of videos are those of anomalies without annotated frames, the annotation does not fit the
            videos, or no video can be scored.
        ConfigError: The file cannot be written. This is found before the videos are scored.
    """
    sources = find_sources(inputs)
    truths = {} if annotation is None else _truths(sources, annotation)
    classes = tuple(getattr(inferencer.model, 'classes', None) or inferencer.config.get('classes') or ())
    named = [
        source.name
        for source in sources
        if source.name not in truths and _is_anomalous(source.name, classes or UCF_CRIME_CLASSES)
    ]
    if named:
        raise DataError(
            f'{len(named)} of {len(sources)} videos have the name of an anomaly (first: {named[0]}). Thresholds are '
            'calibrated on footage without anomalies: leave these out, rename them if they are normal, or give their '
            'anomalous frames (--ann FILE, a temporal annotation).'
        )
    path = calibration_path(inferencer.checkpoint, inferencer.config_path, *inferencer.prompts)
    _require_writable(path, bool(inferencer.checkpoint))
    # Any thresholds will do: only scores are used.
    before, inferencer.thresholds = inferencer.thresholds, Thresholds(1e9, 1e9)
    report_failed: dict[str, str] = {}
    footage: list[_Scored] = []
    try:
        for result in inferencer(sources, *inferencer.prompts, progress=progress):
            if result.error is not None:
                report_failed[result.name] = result.error
                continue
            truth = truths.get(result.name, np.empty((0, 2), np.int64))
            for start, end in outside(truth.tolist(), len(result.scores)):
                raise DataError(
                    f'{annotation}: {result.name}: the interval {start} to {end} lies outside the video, which has '
                    f'{len(result.scores)} frames. Frame numbers of another frame rate, or of another video?'
                )
            footage.append(_Scored(result.name, result.scores, result.times, result.duration_s, truth))
    finally:
        inferencer.thresholds = before
    if not footage:
        first = next(iter(report_failed.values()))
        raise DataError(f'No video can be scored; {len(sources)} failed (first: {first})')

    def calibrated(videos: Sequence[_Scored]) -> tuple[Thresholds, Calibration]:
        _, scores, times, ends_s, truths = zip(*videos, strict=True)
        how = (false_alarms_per_hour, low_quantile, min_s, gap_s)
        return calibrate(scores, times, ends_s, *how, f'{len(videos)} videos', truths)

    thresholds, calibration = calibrated(footage)
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
        (video.name, event)
        for video in footage
        for event in false_alarms(video.scores, video.times, every, video.end_s, video.is_normal())
    ]
    highest = []
    for name, event in sorted(events, key=lambda pair: -pair[1].score)[:3]:
        others = [video for video in footage if video.name != name]
        high = calibrated(others)[0].high if any(video.is_normal().any() for video in others) else None
        highest.append(HighPeak(name, event, high))
    return CalibrationReport(file, highest, report_failed, sum(len(video.truth) > 0 for video in footage))


def _truths(sources: Sequence[VideoSource], annotation: str | os.PathLike) -> Mapping[str, np.ndarray]:
    """Anomalous frames of the videos that an annotation has, shape (K, 2), by name."""
    annotations = read_temporal_annotations(os.fspath(annotation))
    ids = {source.name: video_id_of(source.name) for source in sources}
    if not set(ids.values()) & annotations.keys():
        raise DataError(
            f'{annotation} has none of the {len(sources)} videos (first: {sources[0].name}; in the file: '
            f'{next(iter(annotations), "none at all")}). Its names are file names without folders.'
        )
    known = {name: annotations[video_id] for name, video_id in ids.items() if video_id in annotations}
    return {name: given.intervals for name, given in known.items() if len(given.intervals) or is_normal(given[0])}


def _require_writable(path: Path, is_beside_checkpoint: bool) -> None:
    """Check that a calibration can be written, before hours of footage are scored."""
    try:
        require_file(path, 'The calibration')
    except ConfigError as error:
        advice = ' It belongs beside the checkpoint: copy the checkpoint to a folder that you can write to.'
        raise ConfigError(f'{str(error).rstrip(".")}.{advice if is_beside_checkpoint else ""}') from error


def _is_anomalous(name: str, classes: tuple[str, ...]) -> bool:
    """Whether the class in a video's name is anomalous."""
    try:
        label = find_label(video_id_of(name), name, None, classes)
    except ValueError:  # a class of another data set
        return True
    return label is not None and label.label != 0
