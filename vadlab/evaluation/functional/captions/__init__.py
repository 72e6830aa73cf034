from .bleu import bleu
from .caption_scores import CaptionScores, caption_protocol, caption_scores
from .cider import CIDErD, cider, cider_d
from .document_frequencies import DocumentFrequencies
from .meteor import meteor, meteor_stages
from .ptb import ptb_tokenize
from .rouge import rouge_l
from .wordnet import WordNet

__all__ = [
    'CIDErD',
    'CaptionScores',
    'DocumentFrequencies',
    'WordNet',
    'bleu',
    'caption_protocol',
    'caption_scores',
    'cider',
    'cider_d',
    'meteor',
    'meteor_stages',
    'ptb_tokenize',
    'rouge_l',
]
