from .bleu import bleu
from .cider import CIDErD, cider, cider_d
from .document_frequencies import DocumentFrequencies
from .ptb import ptb_tokenize
from .rouge import rouge_l

__all__ = ['CIDErD', 'DocumentFrequencies', 'bleu', 'cider', 'cider_d', 'ptb_tokenize', 'rouge_l']
