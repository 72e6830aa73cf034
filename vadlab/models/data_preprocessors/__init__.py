from .snippet_data_preprocessor import SnippetDataPreprocessor
from .vad_data_preprocessor import VADDataPreprocessor

__all__ = ['SnippetDataPreprocessor', 'VADDataPreprocessor']
