from typing import TYPE_CHECKING

from vadlab.utils.lazy_package import lazy_names

if TYPE_CHECKING:
    from .audio_visual_data_sample import AudioVisualDataSample
    from .caption_data_sample import CaptionDataSample
    from .vad_data_sample import VADDataSample

# Data samples need MMEngine; results of videos are also written and read without it.
__getattr__ = lazy_names(__name__, __path__)
__all__ = ['AudioVisualDataSample', 'CaptionDataSample', 'VADDataSample']
