from . import synthetic, transforms
from .synthetic_frames import SyntheticFrames
from .ucf_crime_regions import UCFCrimeRegions
