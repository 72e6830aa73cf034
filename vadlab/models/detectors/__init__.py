from .clip import CLIP
from .fgclip import FGCLIP

__all__ = ['CLIP', 'FGCLIP']
