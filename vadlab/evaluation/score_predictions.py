"""Scoring predictions of other programs with VADLab's own metrics."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.utils.errors import ConfigError, DataError

from .functional import PooledCounts, RankCounts, snippet_to_frame
from .functional.segments import SEGMENT_IOUS
from .functional.snippets import EXPANSIONS
from .metrics.frame_score_metric import FrameScoreMetric
from .metrics.frame_tally import expanded
from .metrics.protocol_metric import choose
from .metrics.segment_metric import SegmentMetric
from .metrics.space_metric import SpaceMetric
from .metrics.video_score_metric import VideoScoreMetric
from .protocols import Protocol, VideoTruth, check_classes, check_complete, check_known
from .region_files import DETECTION_COLUMNS, TRACK_COLUMNS
from .score_files import UNITS, choose_unit, shapes_of


@dataclass(frozen=True)
class ScoringOptions:
    """Options of the scoring; see the metrics for their meaning.

    Attributes:
        unit (str): ``frame``, ``snippet``, or ``auto``: decided by length.
        snippet_len (int): Frames per snippet.
        expand (str): ``repeat`` or ``linear``: from snippets to frames.
        smoothing (str | None): ``forward_window(7)``, ``fixed_blocks(8)``.
        length_policy (str): ``error``, ``truncate`` or ``pad_last``.
        ap_mode (str): ``step`` or ``trapezoid``.
        macro_mode (str): ``skip``, ``prepend_normal`` or ``pad01``.
        far_threshold (float): Scores at or above it are alarms.
        video_mode (str): ``max`` or ``top_mean``.
        segment_mode (str): ``vadclip`` or ``standard``.
        ious (tuple[float, ...]): IoU thresholds of segments.
        interval_mode (str): Meaning of the numbers in the annotation; for the protocol's text.
        tiou_threshold (float | str): Minimum score of frames predicted as anomalous in TIoU, or ``youden``.
        alpha (float): Share of a track's regions that must be found (TBDC).
        beta (float): Minimum IoU at which a region is found (RBDC, TBDC).
    """

    unit: str = 'auto'
    snippet_len: int = 16
    expand: str = 'repeat'
    smoothing: str | None = None
    length_policy: str = 'error'
    ap_mode: str = 'step'
    macro_mode: str = 'skip'
    far_threshold: float = 0.5
    video_mode: str = 'max'
    segment_mode: str = 'vadclip'
    ious: tuple[float, ...] = SEGMENT_IOUS
    interval_mode: str = 'half_open'
    tiou_threshold: float | str = 'youden'
    alpha: float = 0.1
    beta: float = 0.1

    def __post_init__(self) -> None:
        choose('unit', self.unit, UNITS)
        choose('expand', self.expand, EXPANSIONS)
        if self.snippet_len < 1:
            raise ConfigError(f'snippet_len is {self.snippet_len}; a snippet has 1 frame or more')
        if self.smoothing and self.expand == 'linear':
            raise ConfigError('smoothing averages repeated snippet scores; choose it, or linear interpolation')


@dataclass
class ScoreReport:
    """Result of a scoring.

    Attributes:
        metrics (dict[str, float]): Numbers by key, 0..1.
        protocol (dict[str, str]): How each number is computed, by key.
        unit (str): ``frame`` or ``snippet``.
        touched (int): Number of videos whose scores the length policy changed.
        num_frames (int): Number of frames that count.
        num_anomalous (int): Number of anomalous ones among them.
        scores (Mapping[str, np.ndarray]): Frame scores of each video, as evaluated; computed when it is looked up.
        labels (Mapping[str, np.ndarray]): Frame labels of each video, bool; computed when it is looked up.
        counts (RankCounts | PooledCounts | None): Counts of all frames at every distinct score.
        class_values (dict[str, dict[str, float]]): By name of a measure, its value for each class that has one.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    unit: str = 'frame'
    touched: int = 0
    num_frames: int = 0
    num_anomalous: int = 0
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: RankCounts | PooledCounts | None = None
    class_values: dict[str, dict[str, float]] = field(default_factory=dict)


def score_predictions(
    scores: Mapping[str, np.ndarray],
    truth: Mapping[str, VideoTruth],
    protocol: Protocol,
    options: ScoringOptions,
    class_scores: Mapping[str, np.ndarray] | None = None,
    detections: Mapping[str, np.ndarray] | None = None,
    tracks: Mapping[str, np.ndarray] | None = None,
) -> ScoreReport:
    """Score the predictions of a whole test set.

    Args:
        scores (Mapping[str, np.ndarray]): By video: anomaly scores of frames or snippets, shape (N,), or class
            probabilities, Normal first, shape (N, C), whose anomaly score is ``1 - Normal``.
        truth (Mapping[str, VideoTruth]): Ground truth by video.
        protocol (Protocol): The protocol, with its classes.
        options (ScoringOptions): All other options.
        class_scores (Mapping[str, np.ndarray] | None): Class probabilities in addition to ``scores`` of shape (N,), for
            methods with separate frame scores.
        detections (Mapping[str, np.ndarray] | None): Predicted boxes, rows of
            :data:`~vadlab.evaluation.region_files.DETECTION_COLUMNS`; a missing video has no boxes.
        tracks (Mapping[str, np.ndarray] | None): True boxes, rows of
            :data:`~vadlab.evaluation.region_files.TRACK_COLUMNS`; a missing video has no boxes.

    Raises:
        ConfigError: ``detections`` are given without ``tracks``, or there is a second set of class probabilities.
        DataError: Videos are missing or unexpected, shapes do not match, or lengths differ.
    """
    _check_names(scores, truth, 'predictions')
    shapes = shapes_of(scores)
    dimensions = {len(shape) for shape in shapes.values()}
    if len(dimensions) > 1:
        flat = next(name for name, shape in shapes.items() if len(shape) == 1)
        deep = next(name for name, shape in shapes.items() if len(shape) == 2)
        raise DataError(
            f'{flat} has scores of shape (N,), {deep} class probabilities of shape (N, C); give one of them'
        )
    if dimensions == {2}:
        if class_scores is not None:
            raise ConfigError('The predictions are class probabilities already; give no second set of them')
        class_scores = scores
    report = ScoreReport(unit=options.unit)
    if options.unit == 'auto':
        report.unit = _unit_of(shapes, truth, options)
    class_unit = report.unit
    _check_lengths(shapes, truth, report.unit, options)
    if (detections is None) != (tracks is None):
        raise ConfigError('Detections are compared with tracks: give both, or neither')
    _check_boxes(detections or {}, DETECTION_COLUMNS.index('frame'), truth, 'detections')
    _check_boxes(tracks or {}, TRACK_COLUMNS.index('frame'), truth, 'tracks')
    if class_scores is not None:
        class_shapes = shapes_of(class_scores)
        _check_names(class_scores, truth, 'class predictions')
        _check_columns(class_shapes, protocol)
        check_classes(truth, protocol.classes)
        if class_scores is not scores:
            if options.unit == 'auto':
                class_unit = _unit_of(class_shapes, truth, options)
            _check_lengths(class_shapes, truth, class_unit, options)

    shared: dict[str, Any] = dict(length_policy=options.length_policy)
    frame_metric = FrameScoreMetric(
        options.ap_mode,
        options.macro_mode,
        options.far_threshold,
        smoothing=options.smoothing,
        rank_by='scores',
        **shared,
    )
    metrics: list[Any] = [VideoScoreMetric(options.video_mode, rank_by='scores')]
    segment_metric = SegmentMetric(options.segment_mode, options.ious, **shared)
    if class_scores is not None:
        metrics.append(segment_metric)
    meta: dict[str, Any] = {'classes': protocol.classes}
    if protocol.annotation == 'text':
        meta['interval_mode'] = options.interval_mode
    if detections is not None:
        metrics.append(SpaceMetric(threshold=options.tiou_threshold, alpha=options.alpha, beta=options.beta, **shared))
    for metric in (frame_metric, *metrics):
        metric.dataset_meta = meta

    def frame_sample(name: str) -> dict[str, Any]:
        """What the frame metric needs of a video, without class probabilities."""
        array = _to_frames(scores[name], report.unit, options)
        video = truth[name]
        return {
            'video_id': name,
            'total_frames': video.num_frames,
            'snippet_len': options.snippet_len,
            'gt_label': video.label,
            'gt_intervals': video.intervals,
            'gt_class_intervals': video.class_intervals,
            'pred_scores': _anomaly_scores(array),
        }

    tally = frame_metric.tally()
    for name in truth:  # one video at a time; what remains of it is small
        sample = frame_sample(name)
        if class_scores is not None:
            of_classes = class_scores[name]
            _check_probabilities(name, of_classes)
            sample['pred_class_scores'] = _to_frames(of_classes, class_unit, options)
        if detections is not None and tracks is not None:
            sample |= _boxes_of(name, detections, tracks)
        tally.add(frame_metric.process_sample(sample))
        for metric in metrics:
            metric.process({}, [sample])

    report.touched = sum(off_by > 0 for off_by in tally.off_by)
    report.metrics |= frame_metric.full_keys(frame_metric.numbers_of(tally))
    for metric in metrics:
        report.metrics |= metric.numbers()
    for metric in (frame_metric, *metrics):
        for key, text in metric.protocol.items():
            unit = class_unit if metric is segment_metric or key == 'frame/mauc' else report.unit
            report.protocol[key] = text + _unit_note(unit, options)
    if class_scores is not None:
        report.class_values = _class_values(protocol, frame_metric, segment_metric)
    each = options.snippet_len if report.unit == 'snippet' else 1
    counted = {
        name: video.num_frames if options.length_policy != 'truncate' else min(video.num_frames, shapes[name][0] * each)
        for name, video in truth.items()
    }

    def scores_of(name: str) -> np.ndarray:
        result = frame_metric.process_sample(frame_sample(name))
        return expanded(result['scores'], result['lengths'])

    report.counts = tally.counts
    report.num_frames, report.num_anomalous = sum(counted.values()), report.counts.totals[0]
    report.scores = _OnDemand(truth, scores_of)
    report.labels = _OnDemand(truth, lambda name: intervals_to_mask(truth[name].intervals, counted[name]))
    return report


class _OnDemand(Mapping[str, np.ndarray]):
    """Arrays by video, computed when they are looked up."""

    def __init__(self, names: Collection[str], compute: Callable[[str], np.ndarray]) -> None:
        self._names = names
        self._compute = compute

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._compute(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _unit_of(shapes: Mapping[str, tuple[int, ...]], truth: Mapping[str, VideoTruth], options: ScoringOptions) -> str:
    return choose_unit(
        {name: shape[0] for name, shape in shapes.items()},
        {name: video.num_frames for name, video in truth.items()},
        options.snippet_len,
    )


def _boxes_of(name: str, detections: Mapping[str, np.ndarray], tracks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found, true = detections.get(name, np.zeros((0, 6))), tracks.get(name, np.zeros((0, 6)))
    return {
        'pred_detections': {'frame_inds': found[:, 0], 'boxes_xyxy': found[:, 1:5], 'scores': found[:, 5]},
        'gt_tracks': {'track_ids': true[:, 0], 'frame_inds': true[:, 1], 'boxes_xyxy': true[:, 2:6]},
    }


def _check_names(scores: Mapping[str, np.ndarray], truth: Mapping[str, VideoTruth], what: str) -> None:
    check_known(scores, truth, what)
    check_complete(scores, truth, what)


def _check_boxes(rows: Mapping[str, np.ndarray], frame_column: int, truth: Mapping[str, VideoTruth], what: str) -> None:
    check_known(rows, truth, what)
    late = [name for name, array in rows.items() if (array[:, frame_column] >= truth[name].num_frames).any()]
    if late:
        raise DataError(
            f'{len(late)} of {len(rows)} {what} have boxes after the last frame (first: {late[0]}, frame '
            f'{rows[late[0]][:, frame_column].max():g} of {truth[late[0]].num_frames}). Frames count from 0'
        )


def _check_lengths(
    shapes: Mapping[str, tuple[int, ...]], truth: Mapping[str, VideoTruth], unit: str, options: ScoringOptions
) -> None:
    each = options.snippet_len if unit == 'snippet' else 1
    wrong = [name for name, shape in shapes.items() if shape[0] * each != truth[name].num_frames]
    if wrong and options.length_policy == 'error':
        name, count = wrong[0], shapes[wrong[0]][0]
        of_snippets = f'{count} snippets of {each} frames, ' if unit == 'snippet' else ''
        raise DataError(
            f'{name}: {of_snippets}{count * each} scores for {truth[name].num_frames} frames of ground truth '
            f'({len(wrong)} of {len(shapes)} videos differ). If that is intended, choose the length policy truncate or '
            'pad_last; if the unit of the scores was detected wrongly, give frame or snippet'
        )


def _check_columns(shapes: Mapping[str, tuple[int, ...]], protocol: Protocol) -> None:
    expected = len(protocol.classes)
    wrong = [name for name, shape in shapes.items() if shape[1:] != (expected,)]
    if wrong:
        raise DataError(
            f'{wrong[0]}: class probabilities have the shape {shapes[wrong[0]]}; {protocol.name} has '
            f'{expected} classes: {", ".join(protocol.classes)}. Columns must be in this order; other classes are '
            'given by --classes'
        )


def _check_probabilities(name: str, array: np.ndarray) -> None:
    if array.min() < -1e-3 or array.max() > 1 + 1e-3:
        raise DataError(
            f'{name}: class probabilities from {array.min():.4g} to {array.max():.4g}; they lie in 0..1. Logits go '
            'through a softmax or sigmoid first; a column that counts frames does not belong here'
        )


def _to_frames(array: np.ndarray, unit: str, options: ScoringOptions) -> np.ndarray:
    return snippet_to_frame(array, options.snippet_len, options.expand) if unit == 'snippet' else array


def _unit_note(unit: str, options: ScoringOptions) -> str:
    if unit == 'frame':
        return ''
    how = {'repeat': 'repeated', 'linear': 'interpolated between their middles'}[options.expand]
    return f'; snippets of {options.snippet_len} frames, {how}'


def _anomaly_scores(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 1 else 1 - array[:, 0]


def _class_values(
    protocol: Protocol, frame_metric: FrameScoreMetric, segment_metric: SegmentMetric
) -> dict[str, dict[str, float]]:
    """AUC of each class, and its segment AP as the mean over the IoU thresholds."""
    areas = dict(zip(protocol.classes[1:], frame_metric.class_areas.tolist(), strict=True))
    aps = dict(zip(protocol.classes, segment_metric.class_aps.mean(axis=0).tolist(), strict=True))
    measured = {'ROC AUC against all other frames': areas, f'segment AP ({segment_metric.mode})': aps}
    return {what: {k: v for k, v in values.items() if not np.isnan(v)} for what, values in measured.items()}
