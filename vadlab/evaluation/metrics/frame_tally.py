"""Numbers of frame-level scores, collected video by video."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..functional import frame_scores, ranking
from ..functional.rank_pool import PooledCounts, RankPool


class FrameTally:
    """Everything that the numbers of :class:`~vadlab.evaluation.metrics.FrameScoreMetric` need of the videos so far.

    A video's own arrays are not kept: ranked scores go to pools, and of the rest only sums remain.

    Args:
        ap_mode (str): See the metric.
        macro_mode (str): See the metric.
        thresholds (Sequence[float]): Thresholds of FAR.
    """

    def __init__(self, ap_mode: str, macro_mode: str, thresholds: Sequence[float]) -> None:
        self._ap_mode = ap_mode
        self._macro_mode = macro_mode
        self._thresholds = tuple(thresholds)
        self._with_anomaly, self._all_normal = RankPool(), RankPool()
        self._areas: list[float] = []
        self._alarms = [0] * len(self._thresholds)
        #: Difference of scores and frames of each video, >= 0.
        self.off_by: list[int] = []
        #: What methods did to the scores of a video.
        self.normalisations: set[str] = set()
        #: Class data of the videos that have it, and their names.
        self.classes: list[dict[str, Any]] = []
        self.without_classes: list[str] = []

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a result of ``FrameScoreMetric.process_sample``."""
        logits, scores, labels, lengths = (result[key] for key in ('logits', 'scores', 'labels', 'lengths'))
        has_anomaly = bool(labels.any())
        (self._with_anomaly if has_anomaly else self._all_normal).add(logits, labels, lengths)
        area = frame_scores.video_area(
            logits if self._macro_mode == 'skip' else scores, labels, self._macro_mode, lengths
        )
        if area is not None:
            self._areas.append(area)
        if not has_anomaly:
            for i, threshold in enumerate(self._thresholds):
                self._alarms[i] += frame_scores.count_alarms(scores, threshold, lengths)
        self.off_by.append(result['off_by'])
        self.normalisations.add(result['normalisation'])
        of_classes = {key: result[key] for key in result if key.startswith('class_')}
        if of_classes:
            self.classes.append(of_classes)
        else:
            self.without_classes.append(result['sample_id'])

    @property
    def counts(self) -> PooledCounts:
        """Counts of all frames; no video is added later.

        Raises:
            DataError: There is no frame.
        """
        return PooledCounts([self._with_anomaly, self._all_normal])

    @property
    def pools(self) -> tuple[RankPool, RankPool]:
        """Frames of the videos with an anomalous frame, and of the others."""
        return self._with_anomaly, self._all_normal

    def numbers(self) -> dict[str, float]:
        """All numbers but FAR and mAUC, by name."""
        measures = ranking.curve_measures(self.counts, self._ap_mode)
        return {
            'auc': measures.auc,
            'ap': measures.ap,
            'ano_auc': frame_scores.ano_auc_of(self._with_anomaly),
            'macro_auc': frame_scores.mean_area(self._areas),
            'eer': measures.eer,
        }

    def false_alarm_rates(self) -> list[float]:
        """FAR at each threshold."""
        return [frame_scores.alarm_rate(alarms, self._all_normal.total) for alarms in self._alarms]


def expanded(values: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Values of frames from those of runs, see :func:`~vadlab.evaluation.functional.ranking.in_runs`."""
    return values if lengths is None else np.repeat(values, lengths, axis=0)
