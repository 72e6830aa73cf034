from .frame_score_metric import FrameScoreMetric
from .grounding_metric import GroundingMetric
from .retrieval_metric import RetrievalMetric
from .segment_metric import SegmentMetric
from .vad_metric import VADMetric
from .video_score_metric import VideoScoreMetric

__all__ = ['FrameScoreMetric', 'GroundingMetric', 'RetrievalMetric', 'SegmentMetric', 'VADMetric', 'VideoScoreMetric']
