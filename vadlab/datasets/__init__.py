from . import samplers, synthetic, transforms
from .coco_captions import COCOCaptions
from .snippet_features import SnippetFeatures
from .synthetic_frames import SyntheticFrames
from .ucf_crime_regions import UCFCrimeRegions
