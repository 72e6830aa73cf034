from .clip_loading import (
    init_from_clip,
    init_text_from_clip,
    init_vision_from_clip,
    load_clip_checkpoint,
    resize_positions,
)
from .clip_saving import save_clip
from .clip_weights import CLIPWeights
