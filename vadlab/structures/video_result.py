"""The result of scoring one video: scores, events and boxes, and its file format."""

import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json, shape_fault, write_json
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.npy_file import open_npz

if TYPE_CHECKING:  # an exported model writes results without MMEngine
    from mmengine.structures import InstanceData

#: Name of the file of a :class:`RunInfo` beside the results of its run.
RUN_FILE = 'run.json'
_FORMAT = 'vadlab video result'
_VERSION = 1


@dataclass(frozen=True)
class Event:
    """One anomalous stretch of a video.

    Attributes:
        start (int): First frame, 0-based.
        end (int): One past the last frame.
        peak (int): Frame with the highest score.
        start_s (float): Presentation time of the first frame, in seconds.
        end_s (float): Time at which the last frame ends, in seconds.
        peak_s (float): Presentation time of the peak, in seconds.
        score (float): Score at the peak.
        label (str | None): Class or prompt.
        reason (str): Which class or attribute raised the score, in words.
    """

    start: int
    end: int
    peak: int
    start_s: float
    end_s: float
    peak_s: float
    score: float
    label: str | None = None
    reason: str = ''


_THRESHOLDS = ('high', 'low', 'min_s', 'gap_s')


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of events: scores of an event stay at or above ``low``, and reach ``high`` at least once.

    Attributes:
        high (float): The score that an event reaches.
        low (float): The score that an event does not fall below; at most ``high``.
        min_s (float): Shortest event, in seconds, >= 0.
        gap_s (float): Longest gap between stretches of one event, in seconds, >= 0.
        source (str): Where the thresholds come from, in words.
        false_alarms_per_hour (float | None): Rate on the calibration footage at these thresholds; None without one.

    Raises:
        ConfigError: ``low`` is above ``high``, or a value is not finite or negative where it must not be.
    """

    high: float
    low: float
    min_s: float = 0.0
    gap_s: float = 0.0
    source: str = ''
    false_alarms_per_hour: float | None = None

    def __post_init__(self) -> None:
        for name in _THRESHOLDS:
            if not isinstance(getattr(self, name), Real) or isinstance(getattr(self, name), bool):
                raise ConfigError(f'Thresholds: {name} must be a number, not {getattr(self, name)!r}.')
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f'Thresholds: {name}={getattr(self, name)} is not a finite number.')
        if self.low > self.high:
            raise ConfigError(
                f'Thresholds: low={self.low:g} is above high={self.high:g}. An event starts and ends at the low '
                'threshold, and has to reach the high one.'
            )
        if self.min_s < 0 or self.gap_s < 0:
            raise ConfigError(f'Thresholds: min_s={self.min_s:g} and gap_s={self.gap_s:g} must be at least 0.')

    def changed(self, given: Mapping[str, float]) -> 'Thresholds':
        """These thresholds with some values of a user: the calibrated rate no longer holds.

        Args:
            given (Mapping[str, float]): Values by name: ``high``, ``low``, ``min_s``, ``gap_s``; none changes nothing.
        """
        if not given:
            return self
        if unknown := given.keys() - set(_THRESHOLDS):
            raise ConfigError(f'Thresholds: there is no {min(unknown)!r}. Known: {", ".join(_THRESHOLDS)}')
        source = 'given on the command line' if 'high' in given else self.source
        return replace(self, **given, source=source, false_alarms_per_hour=None)


@dataclass(frozen=True)
class Calibration:
    """False alarms of a model on footage without anomalies.

    Attributes:
        hours (float): Length of the footage, > 0.
        videos (int): Number of its videos.
        low (float): The low threshold at which events were counted.
        min_s (float): Shortest event, in seconds.
        gap_s (float): Longest gap inside an event, in seconds.
        peaks (tuple[float, ...]): Peak score of each event above ``low``, descending. The number of peaks at or above
            a threshold, divided by ``hours``, is the rate of false alarms at this threshold.
        footage (str): The folder.
    """

    hours: float
    videos: int
    low: float
    min_s: float
    gap_s: float
    peaks: tuple[float, ...]
    footage: str = ''

    def false_alarms_per_hour(self, high: float) -> float:
        """Events of the footage that reach ``high``, per hour; ``high`` is at least ``low``."""
        return sum(peak >= high for peak in self.peaks) / self.hours


@dataclass(frozen=True)
class RunInfo:
    """Record of the run that wrote the results of a folder.

    Attributes:
        config (str): Path of the config.
        checkpoint (str): Path of the weights; empty without any.
        model (str): Type of the model.
        prompts (tuple[str, ...]): Prompts or classes.
        protocol (str): How the numbers were made, in words.
        thresholds (Thresholds | None): The thresholds of the events.
        calibration (Calibration | None): Scores on normal footage.
        weights (str): Identifies the weights, so that a run is continued only with the same ones.
        settings (str): Identifies the settings of the model and of its input, likewise; empty if not known.
    """

    config: str
    checkpoint: str = ''
    model: str = ''
    prompts: tuple[str, ...] = ()
    protocol: str = ''
    thresholds: Thresholds | None = None
    calibration: Calibration | None = None
    weights: str = ''
    settings: str = ''

    def save(self, folder: str | os.PathLike, is_new: bool = False) -> Path:
        """Write ``run.json`` to a folder of results; return its path.

        Raises:
            FileExistsError: With ``is_new``, there is one.
        """
        path = Path(folder) / RUN_FILE
        write_json(path, asdict(self), is_new)
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike) -> 'RunInfo':
        """Read ``run.json`` of a folder.

        Raises:
            MissingFileError: There is none.
            DataError: It is damaged.
        """
        path = Path(folder) / RUN_FILE
        content = read_json(path)
        if fault := shape_fault(content, _RUN_SHAPE):
            raise DataError(f'{path} is not the record of a run: {fault}')
        content = {key: content[key] for key in (one.name for one in fields(cls)) if key in content}
        return cls(
            **{
                **content,
                'prompts': tuple(content['prompts']),
                'thresholds': thresholds_of(content.get('thresholds'), str(path)),
                'calibration': calibration_of(content.get('calibration'), str(path)),
            }
        )


@dataclass
class VideoResult:
    """Scores, events and boxes of one video.

    N is the number of frames of the video, F of frames that the model saw, C of classes, K of true intervals, M of
    boxes.

    Attributes:
        name (str): Path below the given folder, unique in a run, with ``/`` and the file's ending.
        path (str): The file, or the folder of frames.
        fps (float): Mean frame rate, > 0.
        size (tuple[int, int]): Height and width of the upright picture, in pixels.
        scores (np.ndarray): Score of every frame, higher is more anomalous, float32, shape (N,).
        times (np.ndarray): Presentation time of every frame in seconds, ascending, float64, shape (N,).
        frame_inds (np.ndarray): Frames that the model saw, ascending, int64, shape (F,).
        classes (tuple[str, ...]): Class names or prompts.
        class_scores (np.ndarray | None): Scores of the classes at ``frame_inds``, float32, shape (F, C).
        events (tuple[Event, ...]): Anomalous stretches, in the order of time.
        boxes (InstanceData | None): Length M, with ``frame_inds`` int64 (M,); ``boxes_xyxy`` float32 (M, 4), pixels;
            ``scores`` float32 (M,); ``labels`` list[str]; ``track_ids`` int64 (M,), the same number for all boxes
            of one object, -1 without a track; ``reasons`` list[str]; optionally ``examples`` list[str], the nearest
            normal example as :class:`~vadlab.structures.normal_example.NormalExample` writes it, or empty.
        truth (np.ndarray | None): True anomalous frames as half-open intervals, int64, shape (K, 2); None if unknown.
        threshold (Thresholds | None): The thresholds of ``events``.
        error (str | None): Why the video could not be scored; the arrays are then empty.

    Raises:
        DataError: Shapes do not fit each other, or ``name`` leaves the folder.
    """

    name: str
    path: str
    fps: float
    size: tuple[int, int]
    scores: np.ndarray
    times: np.ndarray
    frame_inds: np.ndarray
    classes: tuple[str, ...] = ()
    class_scores: np.ndarray | None = None
    events: tuple[Event, ...] = ()
    boxes: 'InstanceData | None' = None
    truth: np.ndarray | None = None
    threshold: Thresholds | None = None
    error: str | None = field(default=None)

    def __post_init__(self) -> None:
        self.scores = np.asarray(self.scores, np.float32)
        self.times = np.asarray(self.times, np.float64)
        self.frame_inds = np.asarray(self.frame_inds, np.int64)
        self.classes, self.events = tuple(self.classes), tuple(self.events)
        self.size = (int(self.size[0]), int(self.size[1]))
        if self.class_scores is not None:
            self.class_scores = np.asarray(self.class_scores, np.float32)
        if self.truth is not None:
            self.truth = np.asarray(self.truth, np.int64).reshape(-1, 2)
        if fault := self._fault():
            raise DataError(f'The result of {self.name} cannot be used: {fault}')

    @classmethod
    def failed(cls, name: str, path: str, error: str) -> 'VideoResult':
        """The result of a video that could not be scored."""
        none = np.zeros(0)
        return cls(name, path, 1.0, (0, 0), none, none, none, error=error)

    @property
    def duration_s(self) -> float:
        """Time at which the last frame ends, in seconds; 0 without frames."""
        return self.time_of(len(self.times)) if len(self.times) else 0.0

    def time_of(self, frame: int) -> float:
        """Presentation time of a frame in seconds; for N, the time at which the last frame ends."""
        if frame < len(self.times):
            return float(self.times[frame])
        return float(self.times[-1] + 1 / self.fps)

    def _fault(self) -> str:
        parts = PurePosixPath(self.name).parts
        if not parts or self.name.startswith('/') or '..' in parts or '\\' in self.name or '\0' in self.name:
            return f'{self.name!r} is not a path below a folder'
        n, f = len(self.scores), len(self.frame_inds)
        if self.scores.ndim != 1 or self.times.shape != (n,) or self.frame_inds.ndim != 1:
            return f'scores {self.scores.shape}, times {self.times.shape}, frame_inds {self.frame_inds.shape}'
        if not (math.isfinite(self.fps) and self.fps > 0):
            return f'fps={self.fps}'
        if not (np.isfinite(self.scores).all() and np.isfinite(self.times).all()):
            return 'scores or times are not finite'
        if f and (self.frame_inds.min() < 0 or self.frame_inds.max() >= n):
            return f'frame_inds reach from {self.frame_inds.min()} to {self.frame_inds.max()}, of {n} frames'
        if self.class_scores is not None and self.class_scores.shape != (f, len(self.classes)):
            return f'class_scores {self.class_scores.shape} of {f} frames and {len(self.classes)} classes'
        bad = next((e for e in self.events if not 0 <= e.start <= e.peak < e.end <= n), None)
        if bad is not None:
            return f'the event {bad.start} to {bad.end} with its peak at {bad.peak}, of {n} frames'
        return '' if self.boxes is None else _box_fault(self.boxes, n)

    # ------------------------------------------------------------------------------------------------------- on disk

    def save(self, folder: str | os.PathLike) -> Path:
        """Write ``NAME.npz`` (arrays), then ``NAME.json`` (all else), each atomically.

        So a result is complete as soon as its JSON file is there.

        Args:
            folder (str | PathLike): Folder of the run; folders of ``name`` are made below it.

        Returns:
            Path: The JSON file.
        """
        path = self.file_in(folder, self.name)
        arrays = {'scores': self.scores, 'times': self.times, 'frame_inds': self.frame_inds}
        if self.class_scores is not None:
            arrays['class_scores'] = self.class_scores
        if self.truth is not None:
            arrays['truth'] = self.truth
        words: dict[str, list[str]] = {}
        if self.boxes is not None:
            for key, dtype in _BOX_ARRAYS.items():
                arrays[f'boxes.{key}'] = np.asarray(self.boxes.get(key), dtype)
            for key in (*_BOX_TEXTS, *(key for key in _MORE_BOX_TEXTS if key in self.boxes)):
                texts = list(self.boxes.get(key))
                words[key] = list(dict.fromkeys(texts))
                places = {text: i for i, text in enumerate(words[key])}
                arrays[f'boxes.{key}'] = np.array([places[text] for text in texts], np.int64)
        with atomic_path(path.with_suffix('.npz')) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                with archive.open(f'{name}.npy', 'w', force_zip64=True) as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        content = {
            'format': _FORMAT,
            'version': _VERSION,
            'name': self.name,
            'path': self.path,
            'fps': float(self.fps),
            'size': list(self.size),
            'num_frames': len(self.scores),
            'duration_s': self.duration_s,
            'error': self.error,
            'threshold': None if self.threshold is None else asdict(self.threshold),
            'events': [asdict(event) for event in self.events],
            'classes': list(self.classes),
            'box_texts': words if self.boxes is not None else None,
            'truth': None if self.truth is None else self.truth.tolist(),
        }
        write_json(path, content)
        return path

    @staticmethod
    def file_in(folder: str | os.PathLike, name: str) -> Path:
        """Path of the JSON file of a video in a folder of results."""
        return Path(folder) / f'{name}.json'

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'VideoResult':
        """Read what :meth:`save` wrote.

        Args:
            path (str | PathLike): The JSON file; its arrays are in the ``.npz`` beside it.

        Raises:
            MissingFileError: One of the two files is missing.
            DataError: A file is damaged, or they do not fit each other.
        """
        path = Path(path)
        content = read_json(path)
        if fault := shape_fault(content, _SHAPE):
            raise DataError(f'{path} is not the result of a video: {fault}')
        if content['format'] != _FORMAT or content['version'] != _VERSION:
            what = f'{content["format"][:40]!r}, version {content["version"]}'
            raise DataError(f'{path} is {what}, which this version of VADLab cannot read.')
        beside = path.with_suffix('.npz')
        arrays = {name: read() for name, read in open_npz(beside).items()}
        for name, array in arrays.items():
            if name in _DTYPES and array.dtype != _DTYPES[name]:
                raise DataError(f'{beside}: {name} is {array.dtype}, not {np.dtype(_DTYPES[name])}')
        threshold = thresholds_of(content.get('threshold'), str(path))
        try:
            boxes = None if content.get('box_texts') is None else _boxes_of(arrays, content['box_texts'])
            return cls(
                name=content['name'],
                path=content['path'],
                fps=content['fps'],
                size=tuple(content['size']),
                scores=arrays['scores'],
                times=arrays['times'],
                frame_inds=arrays['frame_inds'],
                classes=tuple(content['classes']),
                class_scores=arrays.get('class_scores'),
                events=tuple(Event(**event) for event in content['events']),
                boxes=boxes,
                truth=arrays.get('truth'),
                threshold=threshold,
                error=content.get('error'),
            )
        except DataError as error:
            raise DataError(f'{path}: {error}') from error
        except (KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise DataError(f'{beside} does not fit {path.name}: {type(error).__name__} {error}') from error


def load_results(folder: str | os.PathLike) -> Iterator[VideoResult]:
    """Read all results below a folder, in the natural order of their names; other JSON files are skipped.

    Args:
        folder (str | PathLike): What was given to :meth:`VideoResult.save`.

    Raises:
        MissingFileError: There is no such folder.
        DataError: A result is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f'There is no folder of results {folder}.')
    for path in natural_sorted(folder.rglob('*.json')):
        if not path.name.startswith('.') and path.with_suffix('.npz').exists():
            yield VideoResult.load(path)


def thresholds_of(content: Any, source: str) -> Thresholds | None:
    """Thresholds from JSON; ``source`` names the file in messages.

    Raises:
        DataError: It is damaged.
    """
    if content is None:
        return None
    if fault := shape_fault(content, _THRESHOLDS_SHAPE):
        raise DataError(f'{source}: thresholds cannot be used: {fault}')
    try:
        return Thresholds(**_known(Thresholds, content))
    except ConfigError as error:
        raise DataError(f'{source}: {error}') from error


def calibration_of(content: Any, source: str) -> Calibration | None:
    """A calibration from JSON; ``source`` names the file in messages.

    Raises:
        DataError: It is damaged.
    """
    if content is None:
        return None
    if fault := shape_fault(content, _CALIBRATION_SHAPE):
        raise DataError(f'{source}: the calibration cannot be used: {fault}')
    if content['hours'] <= 0:
        raise DataError(f'{source}: the calibration cannot be used: hours={content["hours"]} must be above 0')
    return Calibration(**{**_known(Calibration, content), 'peaks': tuple(sorted(content['peaks'], reverse=True))})


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a JSON object that are fields of a data class."""
    return {one.name: content[one.name] for one in fields(kind) if one.name in content}


_BOX_ARRAYS = {'frame_inds': np.int64, 'boxes_xyxy': np.float32, 'scores': np.float32, 'track_ids': np.int64}
_BOX_TEXTS = ('labels', 'reasons')
_MORE_BOX_TEXTS = ('examples',)  # not all methods have them
_DTYPES = {
    'scores': np.float32,
    'times': np.float64,
    'frame_inds': np.int64,
    'class_scores': np.float32,
    'truth': np.int64,
    **{f'boxes.{key}': dtype for key, dtype in _BOX_ARRAYS.items()},
    **{f'boxes.{key}': np.int64 for key in (*_BOX_TEXTS, *_MORE_BOX_TEXTS)},
}


def _box_fault(boxes: 'InstanceData', num_frames: int) -> str:
    missing = [key for key in (*_BOX_ARRAYS, *_BOX_TEXTS) if key not in boxes]
    if missing:
        return f'boxes without {", ".join(missing)}'
    m = len(boxes.frame_inds)
    if tuple(np.shape(boxes.boxes_xyxy)) != (m, 4):
        return f'boxes_xyxy {tuple(np.shape(boxes.boxes_xyxy))} of {m} boxes'
    inds = np.asarray(boxes.frame_inds)
    if m and (inds.min() < 0 or inds.max() >= num_frames):
        return f'boxes in frames {inds.min()} to {inds.max()}, of {num_frames} frames'
    return ''


def _boxes_of(arrays: dict[str, np.ndarray], words: dict[str, list[str]]) -> 'InstanceData':
    from mmengine.structures import InstanceData

    boxes = InstanceData()
    for key in _BOX_ARRAYS:
        boxes[key] = arrays[f'boxes.{key}']
    for key in (*_BOX_TEXTS, *(key for key in _MORE_BOX_TEXTS if key in words)):
        boxes[key] = [words[key][i] for i in arrays[f'boxes.{key}'].tolist()]
    return boxes


_THRESHOLDS_SHAPE = {
    'high': float, 'low': float, 'min_s': float, 'gap_s': float, 'source?': str, 'false_alarms_per_hour?': float,
}  # fmt: skip
_CALIBRATION_SHAPE = {
    'hours': float, 'videos': int, 'low': float, 'min_s': float, 'gap_s': float, 'peaks': [float], 'footage?': str,
}  # fmt: skip
_EVENT_SHAPE = {
    'start': int, 'end': int, 'peak': int, 'start_s': float, 'end_s': float, 'peak_s': float, 'score': float,
    'label?': str, 'reason?': str,
}  # fmt: skip
_SHAPE = {
    'format': str, 'version': int, 'name': str, 'path': str, 'fps': float, 'size': [int], 'error?': str,
    'threshold?': Any, 'events': [_EVENT_SHAPE], 'classes': [str], 'box_texts?': {str: [str]},
}  # fmt: skip
_RUN_SHAPE = {
    'config': str, 'checkpoint': str, 'model': str, 'prompts': [str], 'protocol': str, 'thresholds?': Any,
    'calibration?': Any, 'weights?': str, 'settings?': str,
}  # fmt: skip
