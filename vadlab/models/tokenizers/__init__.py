from .clip_tokenizer import CLIPTokenizer
from .word_vocabulary import WordVocabulary
