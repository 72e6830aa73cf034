from .clip_text_transformer import CLIPTextTransformer
from .clip_vision_transformer import CLIPVisionTransformer
from .videomae import VideoMAE
