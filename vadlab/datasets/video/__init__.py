from .errors import DamagedVideoError
from .frame_cache import FrameCache
from .orientation import Orientation
from .read_frames import BACKENDS, read_frames
from .video_index import VideoIndex, index_video

__all__ = ['BACKENDS', 'DamagedVideoError', 'FrameCache', 'Orientation', 'VideoIndex', 'index_video', 'read_frames']
