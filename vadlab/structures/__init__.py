from .caption_data_sample import CaptionDataSample
from .vad_data_sample import VADDataSample

__all__ = ['CaptionDataSample', 'VADDataSample']
