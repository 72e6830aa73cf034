from .caption_decoder import CaptionDecoder, DecoderCache, EncodedImages
from .caption_ensemble import CaptionEnsemble
from .decoding import Captions, beam_search, greedy_search, nucleus_sample
from .fsgr import FSGR
from .grid_encoder import GridEncoder
from .prototypical_memory import PrototypicalMemory
from .self_critical import SelfCriticalFSGR

__all__ = [
    'FSGR',
    'CaptionDecoder',
    'CaptionEnsemble',
    'Captions',
    'DecoderCache',
    'EncodedImages',
    'GridEncoder',
    'PrototypicalMemory',
    'SelfCriticalFSGR',
    'beam_search',
    'greedy_search',
    'nucleus_sample',
]
