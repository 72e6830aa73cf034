"""Metric for temporal segments of anomaly classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

from ..functional import ground_truth, segments
from .protocol_metric import ProtocolMetric, choose, class_intervals_of, field_of, two_dimensional


class SegmentMetric(ProtocolMetric):
    """mAP at IoU 0.1 to 0.5 of segments proposed from class probabilities, and its mean over the thresholds.

    Uses ``pred_class_scores`` of the frames, and the class of each true interval (``gt_class_intervals``, or
    ``gt_label`` and ``gt_intervals``). Keys: ``segment/map``, ``segment/map@0.1`` and so on.

    Args:
        mode (str): ``vadclip`` or ``standard``, see :mod:`vadlab.evaluation.functional.segments`.
        ious (Sequence[float]): IoU thresholds, above 0, up to 1.
        normal_truth (bool | None): Only in mode ``vadclip``: whether a whole normal video is a true segment of class
            0. The published lists have such segments for XD-Violence, but not for UCF-Crime. None: True if the name of
            class 0 is ``A``, as in XD-Violence.
        length_policy (str): ``error``, ``truncate`` or ``pad_last``, if the numbers of scores and frames differ.
        prefix (str | None): Prefix of the keys; ``segment`` if None.
    """

    default_prefix = 'segment'

    def __init__(
        self,
        mode: str = 'vadclip',
        ious: Sequence[float] = segments.SEGMENT_IOUS,
        normal_truth: bool | None = None,
        length_policy: str = 'error',
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        self.mode = choose('mode', mode, segments.SEGMENT_MODES)
        if not ious or not all(0 < iou <= 1 for iou in ious):
            raise ConfigError(f'ious is {ious!r}; give a list of IoU thresholds above 0, up to 1')
        self.ious = tuple(ious)
        self.normal_truth = normal_truth
        self.length_policy = choose('length_policy', length_policy, ground_truth.LENGTH_POLICIES)
        self.higher_is_better = {'map': True} | {f'map@{iou:g}': True for iou in self.ious}
        # AP of each class at each threshold in the last evaluation, shape (len(ious), K), for pictures.
        self.class_aps = np.zeros((len(self.ious), 0))

    @property
    def dataset_meta(self) -> dict | None:
        """Metainfo of the data set; set before training and testing.

        Raises:
            DataError: The class of some intervals is not in the annotation.
        """
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None) -> None:
        self._dataset_meta = meta
        names = (meta or {}).get('without_class')
        if names:
            raise DataError(f'SegmentMetric: {names}')

    @property
    def _normal_counts(self) -> bool:
        classes = (self.dataset_meta or {}).get('classes') or ('',)
        asked = self.normal_truth if self.normal_truth is not None else classes[0] == 'A'
        return self.mode == 'vadclip' and asked

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        which = 'mean over anomaly classes with a true segment'
        if self.mode == 'vadclip':
            truth = 'normal videos are its true segments' if self._normal_counts else 'which has no true segment'
            which = f'mean over all classes, Normal included ({truth}), 0 if a class has no proposal'
        policy = f', other lengths: {self.length_policy}' if self.length_policy != 'error' else ''
        texts = {'map': f'mean over IoU {", ".join(f"{iou:g}" for iou in self.ious)}; {which} ({self.mode}){policy}'}
        texts |= {f'map@{iou:g}': f'mAP at IoU {iou:g}; {which} ({self.mode}){policy}' for iou in self.ious}
        return self.full_keys(texts)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Proposals and true segments of one video."""
        name = type(self).__name__
        video_id = str(field_of(sample, 'video_id', name))
        num_frames = int(field_of(sample, 'total_frames', name))
        scores = two_dimensional(field_of(sample, 'pred_class_scores', name), 'pred_class_scores', sample)
        off_by = abs(len(scores) - num_frames)
        scores, counted = ground_truth.match_lengths(video_id, scores, num_frames, self.length_policy)
        intervals = class_intervals_of(sample, name)
        if intervals is None:
            raise DataError(
                f'{video_id} is anomalous, but its class is unknown, and {name} requires classes. Check the '
                'annotation, or remove it from the evaluator'
            )
        wrong = [index for index, _, _ in intervals if not 0 < index < scores.shape[1]]
        if wrong:
            raise DataError(
                f'{video_id} has an interval of class index {wrong[0]}, but pred_class_scores has '
                f'{scores.shape[1]} columns'
            )
        if not intervals and self._normal_counts and int(field_of(sample, 'gt_label', name)) == 0:
            intervals = [(0, 0, counted)]
        try:
            proposals = segments.propose_segments(scores)
        except DataError as error:
            raise DataError(f'{video_id}: {error}') from error
        truths = segments.Segments.of(intervals)
        return {
            'sample_id': video_id,
            'proposals': (proposals.classes, proposals.starts, proposals.ends, proposals.scores),
            'truths': (truths.classes, truths.starts, truths.ends),
            'num_classes': scores.shape[1],
            'off_by': off_by,
        }

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all videos."""
        results = self.checked(results)
        self.log_other_lengths([result['off_by'] for result in results], self.length_policy)
        columns = sorted({result['num_classes'] for result in results})
        if len(columns) > 1:
            raise DataError(f'pred_class_scores has {" or ".join(map(str, columns))} columns in different videos')
        proposals = [segments.Segments(*result['proposals']) for result in results]
        truths = [segments.Segments(*result['truths']) for result in results]
        maps, self.class_aps = segments.segment_map(proposals, truths, columns[0], self.mode, self.ious)
        if np.isnan(maps).any():
            self.log('segment mAP is NaN: no test video has an anomalous interval')
        return {'map': float(maps.mean())} | {
            f'map@{iou:g}': float(value) for iou, value in zip(self.ious, maps, strict=True)
        }
