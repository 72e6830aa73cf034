from .frame_scores import ano_auc, false_alarm_rate, macro_auc, video_score
from .ground_truth import frame_labels, match_lengths
from .grounding import aligned_iou, grounding_accuracy
from .ranking import (
    RankCounts,
    average_precision,
    equal_error_rate,
    precision_recall_curve,
    rank_counts,
    roc_auc,
    roc_curve,
)
from .retrieval import chance_recall_at_1, recall_at, retrieval_ranks, text_groups

__all__ = [
    'RankCounts',
    'aligned_iou',
    'ano_auc',
    'average_precision',
    'chance_recall_at_1',
    'equal_error_rate',
    'false_alarm_rate',
    'frame_labels',
    'grounding_accuracy',
    'macro_auc',
    'match_lengths',
    'precision_recall_curve',
    'rank_counts',
    'recall_at',
    'retrieval_ranks',
    'roc_auc',
    'roc_curve',
    'text_groups',
    'video_score',
]
