"""Frame-level anomaly scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vadlab.datasets.temporal_annotations import intervals_to_mask
from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError, DataError

from ..functional import frame_scores, ground_truth, ranking
from .vad_metric import VADMetric, choose, field_of, one_dimensional


@METRICS.register_module()
class FrameScoreMetric(VADMetric):
    """AUC, AP, Ano-AUC, macro AUC, EER and FAR of per-frame scores.

    Ranking measures look at ``pred_margins`` (a probability close to 1 saturates and would make ties), FAR looks at
    ``pred_scores``. Ground truth are ``gt_intervals`` over ``total_frames``.

    Args:
        ap_mode (str): ``step`` or ``trapezoid``, see :func:`~vadlab.evaluation.functional.average_precision`.
        macro_mode (str): ``skip``, ``prepend_normal`` or ``pad01``, see
            :func:`~vadlab.evaluation.functional.macro_auc`.
        far_threshold (float): Scores at or above it are alarms, 0..1.
        length_policy (str): ``error``, ``truncate`` or ``pad_last`` where the number of scores is not that of frames,
            see :func:`~vadlab.evaluation.functional.match_lengths`.
        collect_device (str): ``cpu`` or ``gpu``.
        prefix (str | None): ``frame`` where None.
    """

    default_prefix = 'frame'
    higher_is_better = {'auc': True, 'ap': True, 'ano_auc': True, 'macro_auc': True, 'eer': False, 'far': False}

    def __init__(
        self,
        ap_mode: str = 'step',
        macro_mode: str = 'skip',
        far_threshold: float = 0.5,
        length_policy: str = 'error',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.ap_mode = choose('ap_mode', ap_mode, ranking.AP_MODES)
        self.macro_mode = choose('macro_mode', macro_mode, frame_scores.MACRO_MODES)
        self.length_policy = choose('length_policy', length_policy, ground_truth.LENGTH_POLICIES)
        if not 0 <= far_threshold <= 1:
            raise ConfigError(f'far_threshold is {far_threshold}; a probability lies in 0..1')
        self.far_threshold = far_threshold

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed."""
        rule = 'by logit, ties count half'
        mode = (self.dataset_meta or {}).get('interval_mode')
        if mode:
            rule += f', intervals {mode}'
        if self.length_policy != 'error':
            rule += f', other lengths: {self.length_policy}'
        macro = {
            'skip': 'videos of one class left out',
            'prepend_normal': 'a normal frame of score 0 before all-anomalous videos, all-normal ones left out',
            'pad01': 'a normal frame of score 0 and an anomalous one of score 1 in every video',
        }[self.macro_mode]
        ap = {'step': 'step-wise average precision', 'trapezoid': 'trapezoid rule under the precision-recall curve'}
        return self.full_keys(
            {
                'auc': f'micro ROC AUC of all test frames; {rule}',
                'ap': f'{ap[self.ap_mode]} of all test frames; {rule}',
                'ano_auc': f'ROC AUC of the frames of videos with an anomalous frame; {rule}',
                'macro_auc': f'mean of per-video ROC AUCs; {macro} ({self.macro_mode})',
                'eer': f'false positive rate where it equals the miss rate; {rule}',
                'far': f'share of frames of normal videos with probability >= {self.far_threshold:g}',
            }
        )

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Margins, scores and labels of one video, each of shape (N,)."""
        name, video_id = type(self).__name__, str(field_of(sample, 'video_id', type(self).__name__))
        num_frames = int(field_of(sample, 'total_frames', name))
        margins, scores = (
            one_dimensional(field_of(sample, field, name), field, sample) for field in ('pred_margins', 'pred_scores')
        )
        if len(margins) != len(scores):
            raise DataError(f'{video_id}: {len(margins)} pred_margins but {len(scores)} pred_scores')
        touched = len(scores) != num_frames
        margins, _ = ground_truth.match_lengths(video_id, margins, num_frames, self.length_policy)
        scores, counted = ground_truth.match_lengths(video_id, scores, num_frames, self.length_policy)
        labels = intervals_to_mask(field_of(sample, 'gt_intervals', name), num_frames)[:counted]
        return {'video_id': video_id, 'margins': margins, 'scores': scores, 'labels': labels, 'touched': touched}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The numbers over all videos."""
        results = self.checked(results)
        margins, scores, labels = ([result[key] for result in results] for key in ('margins', 'scores', 'labels'))
        touched = sum(result['touched'] for result in results)
        if touched:
            self.log(f'{touched} of {len(results)} videos had scores of another length ({self.length_policy})')
        with self.warnings_to_log():
            counts = ranking.rank_counts(np.concatenate(margins), np.concatenate(labels))
            return {
                'auc': ranking.roc_auc(counts),
                'ap': ranking.average_precision(counts, self.ap_mode),
                'ano_auc': frame_scores.ano_auc(margins, labels),
                'macro_auc': frame_scores.macro_auc(
                    margins if self.macro_mode == 'skip' else scores, labels, self.macro_mode
                ),
                'eer': ranking.equal_error_rate(counts),
                'far': frame_scores.false_alarm_rate(scores, labels, self.far_threshold),
            }
