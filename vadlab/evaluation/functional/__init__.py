from .class_scores import class_masks, class_wise_auc, mean_class_auc
from .frame_scores import ano_auc, false_alarm_rate, macro_auc, video_score
from .ground_truth import frame_labels, match_lengths
from .grounding import aligned_iou, grounding_accuracy
from .rank_pool import PooledCounts, RankPool
from .ranking import (
    RankCounts,
    average_precision,
    curve_measures,
    equal_error_rate,
    precision_recall_curve,
    rank_counts,
    roc_auc,
    roc_curve,
    run_starts,
)
from .region_detection import Detections, RegionCurves, Tracks, region_curves
from .retrieval import chance_recall_at_1, recall_at, retrieval_ranks, text_groups
from .segments import Segments, propose_segments, segment_ap, segment_map
from .snippets import Smoothing, fixed_blocks, forward_window, frame_to_snippet, reduce_crops, snippet_to_frame
from .space import proposal_recall, temporal_iou, union_area, union_iou, youden_threshold

__all__ = [
    'Detections',
    'PooledCounts',
    'RankCounts',
    'RankPool',
    'RegionCurves',
    'Segments',
    'Smoothing',
    'Tracks',
    'aligned_iou',
    'ano_auc',
    'average_precision',
    'chance_recall_at_1',
    'class_masks',
    'class_wise_auc',
    'curve_measures',
    'equal_error_rate',
    'false_alarm_rate',
    'fixed_blocks',
    'forward_window',
    'frame_labels',
    'frame_to_snippet',
    'grounding_accuracy',
    'macro_auc',
    'match_lengths',
    'mean_class_auc',
    'precision_recall_curve',
    'proposal_recall',
    'propose_segments',
    'rank_counts',
    'recall_at',
    'reduce_crops',
    'region_curves',
    'retrieval_ranks',
    'roc_auc',
    'roc_curve',
    'run_starts',
    'segment_ap',
    'segment_map',
    'snippet_to_frame',
    'temporal_iou',
    'text_groups',
    'union_area',
    'union_iou',
    'video_score',
    'youden_threshold',
]
