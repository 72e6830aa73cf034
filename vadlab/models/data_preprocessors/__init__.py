from .audio_visual_data_preprocessor import AudioVisualDataPreprocessor
from .caption_data_preprocessor import CaptionDataPreprocessor
from .mix_up import MixUp
from .snippet_data_preprocessor import SnippetDataPreprocessor
from .vad_data_preprocessor import VADDataPreprocessor

__all__ = [
    'AudioVisualDataPreprocessor',
    'CaptionDataPreprocessor',
    'MixUp',
    'SnippetDataPreprocessor',
    'VADDataPreprocessor',
]
