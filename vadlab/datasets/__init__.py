from . import synthetic, transforms  # noqa: F401
from .synthetic_frames import SyntheticFrames
from .ucf_crime_regions import UCFCrimeRegions
