from .clip import CLIP
from .fgclip import FGCLIP
from .snippet_detector import SnippetDetector

__all__ = ['CLIP', 'FGCLIP', 'SnippetDetector']
