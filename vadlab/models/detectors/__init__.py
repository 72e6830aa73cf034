from .clip import CLIP
from .dsanet import DSANet
from .fgclip import FGCLIP
from .mil_ranking import MILRanking
from .pel4vad import PEL4VAD
from .rtfm import RTFM
from .snippet_detector import SnippetDetector
from .urdmu import URDMU
from .vadclip import VadCLIP
from .zero_shot_clip import ZeroShotCLIP

__all__ = [
    'CLIP',
    'FGCLIP',
    'PEL4VAD',
    'RTFM',
    'URDMU',
    'DSANet',
    'MILRanking',
    'SnippetDetector',
    'VadCLIP',
    'ZeroShotCLIP',
]
