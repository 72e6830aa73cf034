from . import samplers, synthetic, transforms
from .audio_visual_clips import AudioVisualClips
from .coco_captions import COCOCaptions
from .snippet_features import SnippetFeatures
from .synthetic_frames import SyntheticFrames
from .ucf_crime_regions import UCFCrimeRegions
