"""Metric for the grounding of region captions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError, DataError

from ..functional import grounding
from .protocol_metric import ProtocolMetric, as_array, field_of


@METRICS.register_module()
class GroundingMetric(ProtocolMetric):
    """Accuracy at an IoU threshold and mean IoU of the boxes predicted for region captions.

    Every sampled frame of a region with a true box counts once, separately for each caption. In contrast,
    ``space/miou`` of :class:`SpaceMetric` compares a frame's highest-scoring box with all its true boxes.

    Args:
        iou_threshold (float): A predicted box with at least this IoU is correct, 0..1.
        prefix (str | None): Prefix of the keys; ``space`` if None.
    """

    default_prefix = 'space'

    def __init__(self, iou_threshold: float = 0.5, prefix: str | None = None) -> None:
        super().__init__(prefix)
        if not 0 < iou_threshold <= 1:
            raise ConfigError(f'iou_threshold is {iou_threshold}; an IoU above 0, up to 1, is needed')
        self.iou_threshold = iou_threshold
        self.accuracy_key = f'grounding_acc@{iou_threshold:g}'
        self.higher_is_better = {self.accuracy_key: True, 'grounding_miou': True}

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        rule = 'best proposal per caption, over all sampled frames with a true box'
        return self.full_keys(
            {
                self.accuracy_key: f'share with IoU >= {self.iou_threshold:g}; {rule}',
                'grounding_miou': f'mean IoU; {rule}',
            }
        )

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """IoU of each region in each frame with a true box, shape (total number of such frames of all regions,)."""
        name = type(self).__name__
        video_id = str(field_of(sample, 'video_id', name))
        truth = sample.get('gt_regions')
        if truth is None or not len(truth.get('captions', ())):
            return {'sample_id': video_id, 'ious': np.zeros(0)}
        boxes, valid = (as_array(truth[field]) for field in ('boxes_xyxyn', 'box_valid'))
        predicted = as_array(field_of(sample, 'pred_regions', name).get('boxes_xyxyn'))
        if predicted is None or np.shape(predicted) != np.shape(boxes):
            shape = 'is missing' if predicted is None else f'has the shape {np.shape(predicted)}'
            raise DataError(f'{video_id}: pred_regions.boxes_xyxyn {shape}; expected {np.shape(boxes)}')
        valid = np.asarray(valid, dtype=bool)
        return {'sample_id': video_id, 'ious': grounding.aligned_iou(predicted[valid], boxes[valid])}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all boxes; NaN if there are none."""
        ious = np.concatenate([result['ious'] for result in self.checked(results)])
        if ious.size == 0:
            self.log('grounding is NaN: no test sample has a region with a box')
            return {self.accuracy_key: float('nan'), 'grounding_miou': float('nan')}
        return {
            self.accuracy_key: grounding.grounding_accuracy(ious, self.iou_threshold),
            'grounding_miou': float(ious.mean()),
        }
