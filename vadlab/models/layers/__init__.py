from .activations import QuickGELU, build_activation
from .gather import gather_rows, world_size
from .layer_norm import LayerNorm
from .logit_scale import log_logit_scales, new_logit_scale, scale_of
from .residual_attention_block import ResidualAttentionBlock
from .top_snippets import top_snippets
from .track_roi_pool import TrackRoIPool, check_roi_align
