from .activations import QuickGELU, build_activation
from .bottleneck_adapter import BottleneckAdapter
from .chunks import over_chunks, to_places
from .correlative_attention import correlative_attention
from .deep_prompts import DeepPrompts, put_prompts
from .gather import gather_rows, world_size
from .grid_positions import grid_positions
from .int8_linear import Int8Linear, quantize_linears
from .layer_norm import LayerNorm
from .local_global_adapter import GraphConvolution, LocalGlobalAdapter
from .logit_scale import log_logit_scales, new_logit_scale, scale_of
from .mlp import MLP
from .modality_mean import ModalityMean
from .modality_tokens import ModalityTokens
from .normality_branch import NormalityBranch
from .residual_attention_block import ResidualAttentionBlock
from .roi_align import RoIAlign, mmcv_ops_problem, plain_roi_align
from .top_snippets import top_snippets
from .track_roi_pool import TrackRoIPool
from .two_branch_logits import two_branch_logits
from .weights_cache import WeightsCache, steady_weights
