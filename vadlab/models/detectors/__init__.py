from .clip import CLIP
from .fgclip import FGCLIP
from .mil_ranking import MILRanking
from .snippet_detector import SnippetDetector
from .urdmu import URDMU

__all__ = ['CLIP', 'FGCLIP', 'MILRanking', 'SnippetDetector', 'URDMU']
