from .audio_visual_data_sample import AudioVisualDataSample
from .caption_data_sample import CaptionDataSample
from .vad_data_sample import VADDataSample

__all__ = ['AudioVisualDataSample', 'CaptionDataSample', 'VADDataSample']
