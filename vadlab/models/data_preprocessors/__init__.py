from .caption_data_preprocessor import CaptionDataPreprocessor
from .snippet_data_preprocessor import SnippetDataPreprocessor
from .vad_data_preprocessor import VADDataPreprocessor

__all__ = ['CaptionDataPreprocessor', 'SnippetDataPreprocessor', 'VADDataPreprocessor']
