from .clip import CLIP
