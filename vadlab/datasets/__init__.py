from . import synthetic, transforms  # noqa: F401
from .synthetic_frames import SyntheticFrames
