"""Metric of one-class detection: micro and macro AUC with and without smoothing, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.utils.errors import ConfigError, DataError

from ..functional import frame_scores, ranking
from ..functional.rank_pool import PooledCounts, RankPool
from ..functional.smoothing import FrameSmoothing, normalize_clip
from .protocol_metric import ProtocolMetric, choose, field_of, one_dimensional


class OneClassMetric(ProtocolMetric):
    """Micro and macro ROC AUC of frame scores, without smoothing and with each of several kinds.

    Published numbers mix these: papers smooth or do not, average over clips (macro) or not (micro), and many scale the
    scores of each test clip to 0..1, which uses the whole clip and hides clips in which nothing happens.

    Scores are ``pred_raw_logits``, not smoothed; ``pred_logits`` if there are none.

    Args:
        smoothing (Sequence[str]): ``none``, ``gaussian(7)``, ``causal(7)``: see
            :class:`~vadlab.evaluation.functional.smoothing.FrameSmoothing`.
        macro_mode (str): ``skip``, ``prepend_normal`` or ``pad01`` (AI-VAD's) for clips with frames of one class, see
            :func:`~vadlab.evaluation.functional.macro_auc`.
        normalize_per_clip (bool): Scale each test clip's scores to 0..1 by its own minimum and maximum, after
            smoothing. This leaks the test clip; only to compare with papers that do it.
        prefix (str | None): Prefix of the keys; ``one_class`` if None.
    """

    default_prefix = 'one_class'
    higher_is_better = {'auc': True, 'macro_auc': True}

    def __init__(
        self,
        smoothing: Sequence[str] = ('none', 'gaussian(7)', 'causal(7)'),
        macro_mode: str = 'skip',
        normalize_per_clip: bool = False,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        self.smoothings = [FrameSmoothing.parse(text) for text in smoothing]
        if not self.smoothings:
            raise ConfigError('OneClassMetric: smoothing is empty')
        self.macro_mode = choose('macro_mode', macro_mode, frame_scores.MACRO_MODES)
        self.normalize_per_clip = normalize_per_clip
        #: Whether the method scaled the components of its scores per clip, as it says in ``score_normalisation``.
        self.per_clip = False
        self.has_truth = True
        keys = [f'{name}_{smoothing.key}' for smoothing in self.smoothings for name in ('auc', 'macro_auc')]
        self.higher_is_better = dict.fromkeys(keys, True)

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        if not self.has_truth:
            return {}
        texts = {}
        ending = ', ties count half'
        if self.per_clip:
            ending += '; the components of each clip scaled to 0..1 by the method (per_clip): this leaks the test clip'
        if self.normalize_per_clip:
            ending += '; each clip scaled to 0..1 by its own minimum and maximum: this leaks the test clip'
        for smoothing in self.smoothings:
            how = {
                'none': 'not smoothed',
                'gaussian': f'smoothed by a Gaussian of {smoothing.sigma:g} frames, offline',
                'causal': f'smoothed by the past half of a Gaussian of {smoothing.sigma:g} frames',
            }[smoothing.kind]
            clips = {
                'skip': 'clips of one class left out',
                'prepend_normal': 'a normal frame of the lowest score before all-anomalous clips',
                'pad01': 'a normal frame of the lowest and an anomalous one of the highest score in every clip',
            }
            texts[f'auc_{smoothing.key}'] = f'micro ROC AUC of all test frames; {how}{ending}'
            texts[f'macro_auc_{smoothing.key}'] = f'mean of per-clip ROC AUCs; {clips[self.macro_mode]}; {how}{ending}'
        return self.full_keys(texts)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Raw scores and labels of one clip, shape (N,) each."""
        name = type(self).__name__
        field = 'pred_raw_logits' if sample.get('pred_raw_logits') is not None else 'pred_logits'
        scores = one_dimensional(field_of(sample, field, name), field, sample)
        frames = int(field_of(sample, 'total_frames', name))
        video_id = str(field_of(sample, 'video_id', name))
        if len(scores) != frames:
            raise DataError(f'{video_id}: {len(scores)} scores for {frames} frames')
        if not np.isfinite(scores).all():
            raise DataError(f'{video_id}: {int((~np.isfinite(scores)).sum())} of {frames} scores are NaN or infinite')
        if sample.get('gt_intervals') is None:
            return {'sample_id': video_id, 'lacks_truth': True}
        labels = intervals_to_mask(field_of(sample, 'gt_intervals', name), frames)
        per_clip = sample.get('score_normalisation') == 'per_clip'
        return {'sample_id': video_id, 'scores': scores.astype(np.float64), 'labels': labels, 'per_clip': per_clip}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Both AUCs for each smoothing, by name without prefix; nothing if no clip has truth."""
        results = self.checked(results)
        lacking = [result['sample_id'] for result in results if result.get('lacks_truth')]
        self.has_truth = not lacking
        if len(lacking) == len(results):
            self.log('no AUC: the test clips have no truth')
            return {}
        if lacking:
            raise DataError(
                f'{len(lacking)} of {len(results)} test clips have no truth (first: {lacking[0]}). Give the truth of '
                'all test clips, or of none'
            )
        labels = [result['labels'] for result in results]
        self.per_clip = any(result['per_clip'] for result in results)
        if self.normalize_per_clip:
            self.log(
                'normalize_per_clip scales each test clip by its own minimum and maximum. This leaks the test clip: do '
                'not compare these numbers with others'
            )
        numbers = {}
        with self.warnings_to_log():
            for smoothing in self.smoothings:
                scores = [smoothing(result['scores']) for result in results]
                if self.normalize_per_clip:
                    scores = [normalize_clip(score) for score in scores]
                pool = RankPool()
                for score, label in zip(scores, labels, strict=True):
                    pool.add(score, label)
                numbers[f'auc_{smoothing.key}'] = ranking.roc_auc(PooledCounts([pool]))
                if self.macro_mode != 'skip':  # it adds frames of score 0, the lowest, and 1, the highest
                    low = min(score.min() for score in scores)
                    high = max(score.max() for score in scores)
                    scores = [(score - low) / max(high - low, 1e-12) for score in scores]
                numbers[f'macro_auc_{smoothing.key}'] = frame_scores.macro_auc(scores, labels, self.macro_mode)
        return numbers
