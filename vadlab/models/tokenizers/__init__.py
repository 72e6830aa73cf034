from .clip_tokenizer import CLIPTokenizer
