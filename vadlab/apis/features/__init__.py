from .crops import CROP_ORDERS, CropViews
from .extraction import ExtractionReport, FeatureExtraction
from .snippet_plan import SnippetPlan
from .video_list import VideoItem, find_videos

__all__ = [
    'CROP_ORDERS',
    'CropViews',
    'ExtractionReport',
    'FeatureExtraction',
    'SnippetPlan',
    'VideoItem',
    'find_videos',
]
