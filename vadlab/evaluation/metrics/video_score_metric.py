"""Metric for anomaly scores of whole videos."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..functional import frame_scores, ranking
from ..functional.rank_pool import PooledCounts, RankPool
from .protocol_metric import RANK_BY, ProtocolMetric, choose, field_of, one_dimensional


class VideoScoreMetric(ProtocolMetric):
    """AUC over videos: separation of anomalous and normal videos.

    A video is anomalous if ``gt_label`` is not 0, independent of its intervals. All its scores count, so no length
    policy is required if the numbers of scores and frames differ.

    Args:
        mode (str): ``max`` or ``top_mean``, see :func:`~vadlab.evaluation.functional.video_score`.
        rank_by (str): Values that ``max`` uses: ``logits``, or ``scores`` as most published code does.
        prefix (str | None): Prefix of the keys; ``video`` if None.
    """

    default_prefix = 'video'
    higher_is_better = {'auc': True}

    def __init__(self, mode: str = 'max', rank_by: str = 'logits', prefix: str | None = None) -> None:
        super().__init__(prefix)
        self.mode = choose('mode', mode, frame_scores.VIDEO_MODES)
        # The highest logit has the highest probability and does not saturate; their means rank videos differently.
        by_logits = mode == 'max' and choose('rank_by', rank_by, RANK_BY) == 'logits'
        self.field = 'pred_logits' if by_logits else 'pred_scores'

    @property
    def protocol(self) -> dict[str, str]:
        """How the number is computed, by its full key."""
        rule = {
            'max': f"a video's highest frame {'logit' if self.field == 'pred_logits' else 'score'}",
            'top_mean': "mean of the highest sixteenth of a video's frame scores",
        }[self.mode]
        truth = 'anomalous by its class, not by intervals'
        return self.full_keys(
            {'auc': f'ROC AUC over videos ({truth}), each scored by {rule}; scores beyond its last frame count'}
        )

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Score and label of one video."""
        name = type(self).__name__
        values = one_dimensional(field_of(sample, self.field, name), self.field, sample)
        return {
            'sample_id': str(field_of(sample, 'video_id', name)),
            'score': frame_scores.video_score(values, self.mode),
            'label': int(field_of(sample, 'gt_label', name)) != 0,
        }

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the number over all videos."""
        results = self.checked(results)
        with self.warnings_to_log():
            pool = RankPool()
            pool.add(*(np.array([result[key] for result in results]) for key in ('score', 'label')))
            self.look_for_ties([pool], ('auc',), 'videos')
            return {'auc': ranking.roc_auc(PooledCounts([pool]))}
