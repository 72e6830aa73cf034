"""Registration of the metrics whose modules load without MMEngine.

``tools/eval_scores.py`` uses these classes without loading MMEngine or torch, so no decorator registers them.
"""

from mmengine.evaluator import BaseMetric

from vadlab.registry import METRICS

from .answer_metric import AnswerMetric
from .frame_score_metric import FrameScoreMetric
from .one_class_metric import OneClassMetric
from .pixel_level_metric import PixelLevelMetric
from .protocol_metric import ProtocolMetric
from .segment_metric import SegmentMetric
from .space_metric import SpaceMetric
from .video_score_metric import VideoScoreMetric

BaseMetric.register(ProtocolMetric)  # makes isinstance(metric, BaseMetric) true, as for any metric of MMEngine

for _metric in (
    AnswerMetric, FrameScoreMetric, OneClassMetric, PixelLevelMetric, SegmentMetric, SpaceMetric, VideoScoreMetric,
):  # fmt: skip
    METRICS.register_module(module=_metric)
