"""Metric for frame-level anomaly scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.utils.errors import ConfigError, DataError

from ..functional import class_scores, frame_scores, ground_truth, ranking, snippets
from .frame_tally import FrameTally
from .protocol_metric import (
    RANK_BY,
    ProtocolMetric,
    choose,
    class_intervals_of,
    field_of,
    one_dimensional,
    two_dimensional,
)

#: What the protocol says of scores that a method normalised within each test clip, by ``score_normalisation``.
_OF_WHOLE_CLIP = {
    'per_clip': ', WARNING: scores scaled to 0..1 by minimum and maximum of each test clip (per_clip), which uses the '
    'whole clip; not comparable with numbers without it',
    'video_reference': ', scores relative to what is usual in each test video (video_reference), which uses the whole '
    'video; not comparable with numbers without it',
}


class FrameScoreMetric(ProtocolMetric):
    """AUC, AP, Ano-AUC, macro AUC, EER and FAR of frame scores, and mAUC if there are class probabilities.

    Ranking measures use ``pred_logits`` (probabilities close to 1 saturate and would cause ties), FAR uses
    ``pred_scores``, and mAUC ``pred_class_scores``. The ground truth is ``gt_intervals`` over ``total_frames``, and for
    mAUC the class of each interval (``gt_class_intervals`` or ``gt_label``).

    Args:
        ap_mode (str): ``step`` or ``trapezoid``, see :func:`~vadlab.evaluation.functional.average_precision`.
        macro_mode (str): ``skip``, ``prepend_normal`` or ``pad01``, see
            :func:`~vadlab.evaluation.functional.macro_auc`.
        far_threshold (float): Scores at or above it are alarms, 0..1.
        length_policy (str): ``error``, ``truncate`` or ``pad_last``, if the numbers of scores and frames differ, see
            :func:`~vadlab.evaluation.functional.match_lengths`.
        smoothing (str | None): ``forward_window(7)`` or ``fixed_blocks(8)`` over the snippets of a video, see
            :class:`~vadlab.evaluation.functional.Smoothing`; ranking measures then also use ``pred_scores``, and the
            data set must provide ``snippet_len``. Class probabilities are not smoothed.
        rank_by (str): ``logits``, or ``scores`` as most published code does.
        prefix (str | None): Prefix of the keys; ``frame`` if None.
    """

    default_prefix = 'frame'
    higher_is_better = {
        'auc': True,
        'ap': True,
        'ano_auc': True,
        'macro_auc': True,
        'eer': False,
        'far': False,
        'far_calibrated': False,
        'mauc': True,
    }

    def __init__(
        self,
        ap_mode: str = 'step',
        macro_mode: str = 'skip',
        far_threshold: float = 0.5,
        length_policy: str = 'error',
        smoothing: str | None = None,
        rank_by: str = 'logits',
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        self.ap_mode = choose('ap_mode', ap_mode, ranking.AP_MODES)
        self.macro_mode = choose('macro_mode', macro_mode, frame_scores.MACRO_MODES)
        self.length_policy = choose('length_policy', length_policy, ground_truth.LENGTH_POLICIES)
        if not 0 <= far_threshold <= 1:
            raise ConfigError(f'far_threshold is {far_threshold}; a probability lies in 0..1')
        self.far_threshold = far_threshold
        self.calibrated: tuple[float, str] | None = None
        self.smoothing = snippets.Smoothing.parse(smoothing)
        self.rank_by = 'scores' if self.smoothing else choose('rank_by', rank_by, RANK_BY)
        # Inputs of the last evaluation, for `protocol` and for pictures.
        self.has_classes = False
        self.normalisations: set[str] = set()
        self.class_areas = np.zeros(0)

    def calibrate(self, threshold: float, source: str) -> None:
        """Also compute FAR at a calibrated threshold, as ``far_calibrated``.

        Args:
            threshold (float): Scores at or above it are alarms.
            source (str): Where it comes from, for the protocol.
        """
        self.calibrated = (threshold, source)

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        common = ''
        mode = (self.dataset_meta or {}).get('interval_mode')
        if mode:
            common += f', intervals {mode}'
        if self.length_policy != 'error':
            common += f', other lengths: {self.length_policy}'
        common += ''.join(_OF_WHOLE_CLIP[name] for name in sorted(self.normalisations & set(_OF_WHOLE_CLIP)))
        smoothed = f', smoothed over snippets by {self.smoothing}' if self.smoothing else ''
        ties = f'{smoothed}, ties count half{common}'
        rule = f'by {"logit" if self.rank_by == "logits" else "score"}{ties}'
        # Frames that a macro mode adds have a score but no logit.
        macro_rule = rule if self.macro_mode == 'skip' else f'by score{ties}'
        macro = {
            'skip': 'videos of one class left out',
            'prepend_normal': 'a normal frame of score 0 before all-anomalous videos, all-normal ones left out',
            'pad01': 'a normal frame of score 0 and an anomalous one of score 1 in every video',
        }[self.macro_mode]
        ap = {'step': 'step-wise average precision', 'trapezoid': 'trapezoid rule under the precision-recall curve'}
        texts = {
            'auc': f'micro ROC AUC of all test frames; {rule}',
            'ap': f'{ap[self.ap_mode]} of all test frames; {rule}',
            'ano_auc': f'ROC AUC of the frames of videos with an anomalous frame; {rule}',
            'macro_auc': f'mean of per-video ROC AUCs; {macro} ({self.macro_mode}); {macro_rule}',
            'eer': f'false positive rate where it equals the miss rate; {rule}',
            'far': f'share of frames of normal videos with score >= {self.far_threshold:g}{smoothed}{common}',
        }
        if self.calibrated is not None:
            threshold, source = self.calibrated
            texts['far_calibrated'] = (
                f'share of frames of normal videos with score >= {threshold:g} ({source}){smoothed}{common}'
            )
        if self.has_classes:
            texts['mauc'] = (
                'mean over anomaly classes of the ROC AUC of its probability, its frames against all others; classes '
                f'without frames skipped, Normal is none{common}'
            )
        return self.full_keys(texts)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Logits, scores and labels of one video, each of shape (R,), and the class data for mAUC.

        There is one entry per run of equal frames, whose numbers are in ``lengths``; where frames differ, ``lengths``
        is None and R is the number of frames. Class probabilities have runs of their own (``class_weights``).
        """
        name, video_id = type(self).__name__, str(field_of(sample, 'video_id', type(self).__name__))
        num_frames = int(field_of(sample, 'total_frames', name))
        scores = one_dimensional(field_of(sample, 'pred_scores', name), 'pred_scores', sample)
        if self.smoothing:
            scores = self._smooth(self.smoothing, scores, sample)
        logits = scores
        if self.rank_by == 'logits':
            logits = one_dimensional(field_of(sample, 'pred_logits', name), 'pred_logits', sample)
        if len(logits) != len(scores):
            raise DataError(f'{video_id}: {len(logits)} pred_logits but {len(scores)} pred_scores')
        for field, values in (('pred_logits', logits), ('pred_scores', scores)):
            _check_finite(values, field, video_id)
        off_by = abs(len(scores) - num_frames)
        ranks_scores = logits is scores
        scores, counted = ground_truth.match_lengths(video_id, scores, num_frames, self.length_policy)
        if ranks_scores:
            logits = scores
        else:
            logits, _ = ground_truth.match_lengths(video_id, logits, num_frames, self.length_policy)
        labels = intervals_to_mask(field_of(sample, 'gt_intervals', name), num_frames)[:counted]
        if ranks_scores:
            (scores, labels), lengths = ranking.in_runs(scores, labels)
            logits = scores
        else:
            (logits, scores, labels), lengths = ranking.in_runs(logits, scores, labels)
        result: dict[str, Any] = {'off_by': off_by, 'normalisation': str(sample.get('score_normalisation', ''))}
        result |= {'sample_id': video_id, 'logits': logits, 'scores': scores, 'labels': labels, 'lengths': lengths}
        if sample.get('pred_class_scores') is not None:
            result |= self._classes(sample, video_id, num_frames)
        return result

    def _smooth(self, smoothing: snippets.Smoothing, scores: np.ndarray, sample: Mapping[str, Any]) -> np.ndarray:
        snippet_len = int(field_of(sample, 'snippet_len', f'smoothing of {type(self).__name__}'))
        try:
            per_snippet = snippets.frame_to_snippet(scores, snippet_len)
        except DataError as error:
            raise DataError(f'{sample["video_id"]}: smoothing works on snippets, but {error}') from error
        return snippets.snippet_to_frame(smoothing(per_snippet), snippet_len)[: len(scores)]

    def _classes(self, sample: Mapping[str, Any], video_id: str, num_frames: int) -> dict[str, Any]:
        values = two_dimensional(
            field_of(sample, 'pred_class_scores', type(self).__name__), 'pred_class_scores', sample
        )
        _check_finite(values, 'pred_class_scores', video_id)
        values, counted = ground_truth.match_lengths(video_id, values, num_frames, self.length_policy)
        intervals = class_intervals_of(sample, type(self).__name__)
        if intervals is None:
            return {'class_unknown': True}
        try:
            masks = class_scores.class_masks(intervals, num_frames, values.shape[1])[:counted]
        except DataError as error:
            raise DataError(f'{video_id}: {error}; pred_class_scores has {values.shape[1]} columns') from error
        starts = ranking.run_starts(values, masks)
        weights = np.diff(starts, append=len(values)).astype(np.int32)
        return {'class_scores': values[starts], 'class_masks': masks[starts], 'class_weights': weights}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all videos."""
        tally = self.tally()
        for result in self.checked(results):
            tally.add(result)
        return self.numbers_of(tally)

    def tally(self) -> FrameTally:
        """An empty collection of what the numbers need, to which results are added one by one."""
        thresholds = [self.far_threshold, *([self.calibrated[0]] if self.calibrated else ())]
        return FrameTally(self.ap_mode, self.macro_mode, thresholds)

    def numbers_of(self, tally: FrameTally) -> dict[str, float]:
        """Compute the numbers over all videos of a :meth:`tally`, by name without prefix."""
        self.normalisations = tally.normalisations
        self.log_other_lengths(tally.off_by, self.length_policy)
        with self.warnings_to_log():
            self.look_for_ties(tally.pools, ('auc', 'ap', 'ano_auc', 'macro_auc', 'eer'), 'frames')
            numbers = tally.numbers()
            numbers |= zip(('far', 'far_calibrated'), tally.false_alarm_rates(), strict=False)
            return numbers | self._mean_class_auc(tally)

    def _mean_class_auc(self, tally: FrameTally) -> dict[str, float]:
        """mAUC, if the model predicts classes."""
        unknown = sum('class_unknown' in result for result in tally.classes)
        known = [result for result in tally.classes if 'class_scores' in result]
        total = len(tally.off_by)
        self.has_classes = bool(tally.classes)
        if not self.has_classes:
            return {}
        lacking = tally.without_classes
        if lacking:
            raise DataError(f'{len(lacking)} of {total} videos have no pred_class_scores (first: {lacking[0]})')
        if unknown:
            self.log(f'mAUC leaves out {unknown} of {total} videos, which are anomalous of unknown class')
        if not known:
            return {'mauc': float('nan')}
        columns = {result['class_scores'].shape[1] for result in known}
        if len(columns) > 1:
            raise DataError(
                f'pred_class_scores has {" or ".join(map(str, sorted(columns)))} columns in different videos'
            )
        parts = ([result[key] for result in known] for key in ('class_scores', 'class_masks', 'class_weights'))
        self.class_areas = class_scores.class_wise_auc_of_parts(*parts)
        return {'mauc': class_scores.mean_class_auc(self.class_areas)}


def _check_finite(values: np.ndarray, field: str, video_id: str) -> None:
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise DataError(f'{video_id}: {bad} of {values.size} {field} are NaN or infinite; the model has diverged')
