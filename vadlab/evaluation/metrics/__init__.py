from .caption_metric import CaptionMetric
from .classification_metric import ClassificationMetric
from .frame_score_metric import FrameScoreMetric
from .grounding_metric import GroundingMetric
from .retrieval_metric import RetrievalMetric
from .segment_metric import SegmentMetric
from .space_metric import SpaceMetric
from .vad_metric import VADMetric
from .video_score_metric import VideoScoreMetric

__all__ = [
    'CaptionMetric',
    'ClassificationMetric',
    'FrameScoreMetric',
    'GroundingMetric',
    'RetrievalMetric',
    'SegmentMetric',
    'SpaceMetric',
    'VADMetric',
    'VideoScoreMetric',
]
