from .clip_text_transformer import CLIPTextTransformer
from .clip_vision_transformer import CLIPVisionTransformer, PatchFeatures
from .encoder import Encoder
from .simple_3d_cnn import Simple3DCNN
from .spectrogram_resnet import SpectrogramResNet
from .videomae import VideoMAE
