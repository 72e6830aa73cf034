"""Reads the checkpoints of DSANet's authors."""

from collections.abc import Mapping

from torch import Tensor

from .vadclip_layout import SHARED_RULES, rename_with_clip

_REFINER = r'video_anomaly_refiner\.'
_BLOCK = {
    r'norm([12])': r'norm\2',
    r'attn\.q': 'query',
    r'attn\.kv': 'key_value',
    r'attn\.proj': 'out',
    r'mlp\.fc1': 'mlp.0',
    r'mlp\.fc2': 'mlp.2',
}
_RULES = SHARED_RULES | {
    r'clip_adapter\.clipmodel\..*': None,  # a second copy of the same CLIP
    r'clip_adapter\.text_adapter\.(\d+)\.fc\.0': r'text_adapters.\1',
    _REFINER + r'video_prototypes': 'normality.prototypes',
    _REFINER + r'bottleneck\.c_fc': 'normality.bottleneck.fc1',
    _REFINER + r'bottleneck\.c_proj': 'normality.bottleneck.fc2',
    _REFINER + r'decoder\.(\d+)\.attn\.learn_scale': r'normality.decoder.\1.scale',
    **{_REFINER + rf'decoder\.(\d+)\.{old}': rf'normality.decoder.\1.{new}' for old, new in _BLOCK.items()},
    **{_REFINER + rf'dnp_extractor\.(0)\.{old}': rf'normality.aggregation.{new}' for old, new in _BLOCK.items()},
}


def from_dsanet(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """State dict for DSANet from ``model_ucf.pth`` or ``model_xd.pth`` of its authors; None for other layouts.

    The files are from https://github.com/lessiYin/DSANet. CLIP's vision tower and text projection are skipped: DSANet
    does not use them.

    Args:
        tensors (Mapping[str, Tensor]): Tensors under the authors' names.

    Raises:
        CheckpointError: The layout is the authors', but tensors are missing or unknown.
    """
    state = rename_with_clip(tensors, _RULES, signature='video_anomaly_refiner.video_prototypes', method='DSANet')
    if state is None:
        return None
    del state['text_projection.weight']
    # The last of their text adapters replaces CLIP's projection.
    last = max((name for name in state if name.startswith('text_adapters.')), key=lambda name: int(name.split('.')[1]))
    state['text_output.weight'] = state.pop(last)
    return state
