"""Metric for the position of anomalies in the frame."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.utils.errors import ConfigError, DataError

from ..functional import ground_truth, ranking, region_detection, space
from ..functional.rank_pool import PooledCounts, RankPool
from .protocol_metric import ProtocolMetric, as_array, choose, field_of, one_dimensional

ITEMS = ('miou', 'tiou', 'rbdc', 'tbdc')


class SpaceMetric(ProtocolMetric):
    """Spatial IoU, TIoU, RBDC and TBDC, as far as predictions and ground truth are available.

    ``miou`` and ``tiou`` are computed over the anomalous frames (by ``gt_intervals``) with a true box: IoU of the
    frame's highest-scoring predicted box with the union of its true boxes; 0 without a predicted box. ``tiou`` also
    requires ``pred_scores``. Boxes are ``pred_detections`` and ``gt_tracks``, which ``rbdc`` and ``tbdc`` require, or
    else ``pred_regions`` and ``gt_regions`` in the sampled frames. If no video has ``gt_tracks``, the log says so, and
    ``rbdc`` and ``tbdc`` are left out; if only some videos lack them, it is an error.

    Args:
        items (Sequence[str]): Any of ``miou``, ``tiou``, ``rbdc``, ``tbdc``.
        threshold (float | str): Minimum score of frames predicted as anomalous in TIoU; ``youden``: the threshold with
            the largest difference of true and false positive rate, over all test frames.
        alpha (float): Share of a track's regions that must be found, 0..1.
        beta (float): Minimum IoU at which a region is found, 0..1.
        recall_at (Sequence[int]): Values of k for ``recall@k``: share of true boxes found by one of the k
            highest-scoring detections of their frame, at an IoU of 0.5.
        length_policy (str): ``error``, ``truncate`` or ``pad_last``, if the numbers of scores and frames differ.
        prefix (str | None): Prefix of the keys; ``space`` if None.
    """

    default_prefix = 'space'

    def __init__(
        self,
        items: Sequence[str] = ITEMS,
        threshold: float | str = 'youden',
        alpha: float = 0.1,
        beta: float = 0.1,
        recall_at: Sequence[int] = (),
        length_policy: str = 'error',
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        if isinstance(items, str) or not items or not set(items) <= set(ITEMS):
            raise ConfigError(f'items is {items!r}; give a list of {", ".join(ITEMS)}')
        if threshold != 'youden' and not isinstance(threshold, int | float):
            raise ConfigError(f"threshold is {threshold!r}; give a score, or 'youden'")
        for name, value in (('alpha', alpha), ('beta', beta)):
            if not 0 < value <= 1:
                raise ConfigError(f'{name} is {value}; a share above 0, up to 1, is needed')
        if any(not isinstance(k, int) or k < 1 for k in recall_at):
            raise ConfigError(f'recall_at is {recall_at!r}; give a list of whole numbers from 1')
        self.items = tuple(items)
        self.threshold = threshold
        self.alpha = alpha
        self.beta = beta
        self.recall_at = tuple(recall_at)
        self.length_policy = choose('length_policy', length_policy, ground_truth.LENGTH_POLICIES)
        self.higher_is_better = dict.fromkeys([*items, *(f'recall@{k}' for k in recall_at)], True)
        # Threshold and numbers of the last evaluation, for `protocol`.
        self.used_threshold = float('nan')
        self.given: tuple[str, ...] | None = None

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        which = "highest-scoring box against the union of the frame's true boxes, over anomalous frames with a true box"
        tau = f'>= {self.threshold:g}' if self.threshold != 'youden' else f">= {self.used_threshold:.4g} (Youden's)"
        curve = f'up to 1 false positive per frame, IoU >= {self.beta:g}'
        texts = {
            'miou': f'mean IoU, {which}',
            'tiou': f'mean of IoU x [frame score {tau}], {which}',
            'rbdc': f'area under the share of true regions found, {curve}',
            'tbdc': f'area under the share of tracks found (by {self.alpha:g} of their regions), {curve}',
        }
        texts |= {f'recall@{k}': f"share of true boxes found by a frame's top {k}, IoU >= 0.5" for k in self.recall_at}
        wanted = self.higher_is_better if self.given is None else self.given
        return self.full_keys({key: text for key, text in texts.items() if key in wanted})

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """IoU and score of each anomalous frame with a true box, and the data for the curves."""
        name = type(self).__name__
        video_id = str(field_of(sample, 'video_id', name))
        num_frames = int(field_of(sample, 'total_frames', name))
        result: dict[str, Any] = {'sample_id': video_id, 'num_frames': num_frames}
        if sample.get('pred_detections') is not None and sample.get('gt_tracks') is None:
            result['lacks_tracks'] = True
            if 'tiou' not in self.items:
                return result | {'ious': np.zeros(0)}
        labels = intervals_to_mask(field_of(sample, 'gt_intervals', name), num_frames)
        if 'tiou' in self.items:
            scores = one_dimensional(field_of(sample, 'pred_scores', name), 'pred_scores', sample)
            scores, counted = ground_truth.match_lengths(video_id, scores, num_frames, self.length_policy)
            labels = labels[:counted]
            (ranked, truth), lengths = ranking.in_runs(scores, labels)
            result |= {'scores': ranked, 'labels': truth, 'lengths': lengths}

        if 'lacks_tracks' in result:
            frames, boxes, truths, valid = _no_true_box()
        elif sample.get('pred_detections') is not None:
            detections, tracks = _detections_of(sample, video_id), _tracks_of(sample, video_id)
            for part in (detections, tracks):
                if part.frames.size and (part.frames.min() < 0 or part.frames.max() >= num_frames):
                    raise DataError(
                        f'{video_id} has boxes in frames {part.frames.min()} to {part.frames.max()}; its frames are 0 '
                        f'to {num_frames - 1}'
                    )
            result |= {'detections': detections, 'tracks': tracks}
            frames, boxes, truths, valid = _highest_scoring_boxes(detections, tracks)
        else:
            frames, boxes, truths, valid = self._regions_of(sample, video_id)
        anomalous = (frames < len(labels)) & labels[frames.clip(0, len(labels) - 1)]
        if 'tiou' in self.items:
            result['scores_at'] = scores[frames[anomalous]]
        result['ious'] = space.union_iou(boxes[anomalous], truths[anomalous], valid[anomalous])
        return result

    def _regions_of(self, sample: Mapping[str, Any], video_id: str) -> tuple[np.ndarray, ...]:
        """For sampled frames with a true box: frame, predicted box (F, 4), true boxes (F, R, 4), and their mask."""
        truth = sample.get('gt_regions')
        if truth is None or not len(truth.get('box_valid', ())):
            return _no_true_box()
        boxes_rt, valid_rt = (np.asarray(as_array(truth[field])) for field in ('boxes_xyxyn', 'box_valid'))
        found = field_of(sample, 'pred_regions', type(self).__name__)
        predicted_rt, scores_rt = (as_array(found.get(field)) for field in ('boxes_xyxyn', 'box_scores'))
        for field, value, shape in (
            ('boxes_xyxyn', predicted_rt, boxes_rt.shape),
            ('box_scores', scores_rt, boxes_rt.shape[:2]),
        ):
            if value is None or np.shape(value) != shape:
                what = 'is missing' if value is None else f'has the shape {np.shape(value)}'
                raise DataError(f'{video_id}: pred_regions.{field} {what}; expected {shape}')
        shown = np.flatnonzero(valid_rt.any(axis=0))
        highest = np.argmax(np.where(valid_rt, scores_rt, -np.inf)[:, shown], axis=0)
        frames = np.asarray(field_of(sample, 'frame_inds', type(self).__name__), dtype=np.int64)[shown]
        return (
            frames,
            predicted_rt[highest, shown],
            boxes_rt[:, shown].swapaxes(0, 1),
            valid_rt[:, shown].T.astype(bool),
        )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all videos."""
        results = self.checked(results)
        lacking = [result['sample_id'] for result in results if result.get('lacks_tracks')]
        if lacking and len(lacking) < len(results):
            raise DataError(
                f'{len(lacking)} of {len(results)} videos have pred_detections, but the data set gives no gt_tracks to '
                f'compare them with (first: {lacking[0]}). Give the true boxes or pixel masks of all videos, or of none'
            )
        ious = np.concatenate([result['ious'] for result in results])
        numbers: dict[str, float] = {}
        with self.warnings_to_log():
            if 'miou' in self.items:
                numbers['miou'] = float(ious.mean()) if ious.size else float('nan')
            if 'tiou' in self.items:
                self.used_threshold = (
                    _youden_threshold(results) if isinstance(self.threshold, str) else float(self.threshold)
                )
                of_frames = np.concatenate([result['scores_at'] for result in results])
                numbers['tiou'] = space.temporal_iou(ious, of_frames, self.used_threshold)
            with_boxes = [result for result in results if 'detections' in result]
            wanted = {'rbdc', 'tbdc'} & set(self.items)
            if with_boxes and len(with_boxes) < len(results):
                first = next(result['sample_id'] for result in results if 'detections' not in result)
                raise DataError(f'{len(results) - len(with_boxes)} videos have no pred_detections (first: {first})')
            if with_boxes and (wanted or self.recall_at):
                numbers |= self._criteria(with_boxes)
        self.given = tuple(numbers)
        if lacking:
            self.log('the test set has no true boxes or pixel masks (gt_tracks) to compare pred_detections with')
        elif wanted and not with_boxes:
            self.log(f'no {" and ".join(sorted(wanted))}: the model predicts no pred_detections')
        return numbers

    def _criteria(self, results: list[dict[str, Any]]) -> dict[str, float]:
        detections = _joined(region_detection.Detections, [result['detections'] for result in results])
        tracks = _joined(region_detection.Tracks, [result['tracks'] for result in results])
        numbers: dict[str, float] = {}
        if {'rbdc', 'tbdc'} & set(self.items):
            num_frames = sum(result['num_frames'] for result in results)
            curves = region_detection.region_curves(detections, tracks, num_frames, self.alpha, self.beta)
            numbers |= {key: getattr(curves, key) for key in ('rbdc', 'tbdc') if key in self.items}
        if self.recall_at:
            ious = [iou for result in results for iou in _ious_per_frame(result['detections'], result['tracks'])]
            numbers |= {f'recall@{k}': space.proposal_recall(ious, k) for k in self.recall_at}
        return numbers


def _youden_threshold(results: list[dict[str, Any]]) -> float:
    pool = RankPool()
    for result in results:
        pool.add(result['scores'], result['labels'], result['lengths'])
    return space.youden_threshold(PooledCounts([pool]))


def _no_true_box() -> tuple[np.ndarray, ...]:
    """Frames, predicted boxes, true boxes and their mask, if there is no frame with a true box."""
    return np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 0, 4)), np.zeros((0, 0), bool)


def _column(fields: Any, owner: str, field: str, video_id: str, columns: int | None = None) -> np.ndarray:
    value = fields.get(field)
    if value is None:
        raise DataError(f'{video_id}: {owner} has no {field}')
    value = np.asarray(as_array(value))
    if columns is not None:
        value = value.reshape(-1, columns)
    return value


def _detections_of(sample: Mapping[str, Any], video_id: str) -> region_detection.Detections:
    fields = sample['pred_detections']
    frames = _column(fields, 'pred_detections', 'frame_inds', video_id).astype(np.int64)
    boxes = _column(fields, 'pred_detections', 'boxes_xyxy', video_id, 4)
    scores = _column(fields, 'pred_detections', 'scores', video_id)
    return region_detection.Detections(np.zeros_like(frames), frames, boxes, scores)


def _tracks_of(sample: Mapping[str, Any], video_id: str) -> region_detection.Tracks:
    fields = sample['gt_tracks']
    frames = _column(fields, 'gt_tracks', 'frame_inds', video_id).astype(np.int64)
    boxes = _column(fields, 'gt_tracks', 'boxes_xyxy', video_id, 4)
    tracks = _column(fields, 'gt_tracks', 'track_ids', video_id).astype(np.int64)
    return region_detection.Tracks(np.zeros_like(frames), tracks, frames, boxes)


def _joined(kind: type, parts: Sequence[Any]) -> Any:
    """Concatenate the parts of all videos, and number the videos."""
    names = [field.name for field in dataclasses.fields(kind)]
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    fields['videos'] = np.repeat(np.arange(len(parts)), [len(part.frames) for part in parts])
    return kind(**fields)


def _highest_scoring_boxes(
    detections: region_detection.Detections, tracks: region_detection.Tracks
) -> tuple[np.ndarray, ...]:
    """For frames with a true box: frame, highest-scoring detection (F, 4), true boxes (F, G, 4), and their mask.

    Boxes of whole pixels are converted: they end after their last pixel.
    """
    frames, of_truth = np.unique(tracks.frames, return_inverse=True)
    at = np.arange(len(of_truth)) - np.searchsorted(np.sort(of_truth), np.sort(of_truth))
    place = np.empty_like(at)
    place[np.argsort(of_truth, kind='stable')] = at
    shape = len(frames), int(place.max(initial=-1)) + 1
    truths, valid = np.zeros((*shape, 4)), np.zeros(shape, bool)
    truths[of_truth, place], valid[of_truth, place] = tracks.boxes_xyxy + np.array([0, 0, 1, 1]), True
    boxes = np.zeros((len(frames), 4))
    for index in np.argsort(detections.scores, kind='stable'):
        position = int(np.searchsorted(frames, detections.frames[index]))
        if position < len(frames) and frames[position] == detections.frames[index]:
            boxes[position] = detections.boxes_xyxy[index] + np.array([0, 0, 1, 1])
    return frames, boxes, truths, valid


def _ious_per_frame(detections: region_detection.Detections, tracks: region_detection.Tracks) -> list[np.ndarray]:
    """Per frame with a true box, the IoU of its detections, by descending score, with its true boxes."""
    order = np.argsort(-detections.scores, kind='stable')
    ious = []
    for frame in np.unique(tracks.frames):
        found = order[detections.frames[order] == frame]
        true = tracks.boxes_xyxy[tracks.frames == frame]
        pairs = region_detection.pixel_iou(
            detections.boxes_xyxy[found][:, None].astype(float), true[None].astype(float)
        )
        ious.append(pairs)
    return ious
