"""Metric of the pixel-level criterion of one-class detection."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vadlab.utils.errors import DataError

from ..functional.pixel_level import MIN_COVERAGE, pixel_level_auc, pixel_level_scores
from .protocol_metric import ProtocolMetric, field_of


class PixelLevelMetric(ProtocolMetric):
    """Pixel-level AUC: an anomalous frame counts only if the detected boxes cover 40 % of its anomalous pixels.

    See :func:`~vadlab.evaluation.functional.pixel_level.pixel_level_scores`. Needs ``gt_mask_bits`` (the transform
    ``LoadPixelTruth``) and ``pred_detections``. Detections are not smoothed over time. If no clip has masks, the log
    says so; if only some clips lack them, it is an error.

    Args:
        coverage (float): Share of the anomalous pixels that must be covered, 0..1.
        prefix (str | None): Prefix of the keys; ``pixel`` if None.
    """

    default_prefix = 'pixel'
    higher_is_better = {'auc': True}

    def __init__(self, coverage: float = MIN_COVERAGE, prefix: str | None = None) -> None:
        super().__init__(prefix)
        self.coverage = coverage
        self.has_masks = True

    @property
    def protocol(self) -> dict[str, str]:
        """How the number is computed."""
        if not self.has_masks:
            return {}
        return self.full_keys(
            {
                'auc': f'micro ROC AUC; an anomalous frame is found if boxes cover {self.coverage:.0%} of its '
                'anomalous pixels; boxes not smoothed over time'
            }
        )

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Threshold and label of each frame of a clip."""
        name = type(self).__name__
        video_id = str(field_of(sample, 'video_id', name))
        if sample.get('gt_mask_bits') is None:
            return {'sample_id': video_id, 'lacks_masks': True}
        bits = field_of(sample, 'gt_mask_bits', name)
        width = int(field_of(sample, 'ori_shape', name)[1])
        masks = np.unpackbits(bits, axis=-1, count=width).astype(bool)
        found = field_of(sample, 'pred_detections', name)
        frames, boxes, scores = (np.asarray(_part(found, key)) for key in ('frame_inds', 'boxes_xyxy', 'scores'))
        levels, labels = pixel_level_scores(masks, frames, boxes, scores, self.coverage)
        return {'sample_id': video_id, 'levels': levels, 'labels': labels}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The area, by name without prefix; nothing if no clip has pixel masks."""
        results = self.checked(results)
        lacking = [result['sample_id'] for result in results if result.get('lacks_masks')]
        self.has_masks = not lacking
        if len(lacking) == len(results):
            self.log('no pixel-level AUC: the test clips have no pixel masks')
            return {}
        if lacking:
            raise DataError(
                f'{len(lacking)} of {len(results)} test clips have no pixel masks (first: {lacking[0]}). Add them, or '
                'remove PixelLevelMetric from test_evaluator'
            )
        with self.warnings_to_log():
            area = pixel_level_auc(
                *(np.concatenate([result[key] for result in results]) for key in ('levels', 'labels'))
            )
        return {'auc': area}


def _part(instances: Any, key: str) -> Any:
    from .protocol_metric import as_array

    return as_array(instances[key] if isinstance(instances, Mapping) else getattr(instances, key))
