"""The names of tensors in PEL4VAD's public checkpoints."""

from collections.abc import Mapping

from torch import Tensor

from .public_layout import rename_tensors

_RULES = {
    r'self_attention\.self_attn\.q': 'context.query',
    r'self_attention\.self_attn\.k': 'context.key',
    r'self_attention\.self_attn\.v': 'context.value',
    r'self_attention\.self_attn\.o': 'context.output',
    r'self_attention\.self_attn\.alpha': 'context.gate',
    r'self_attention\.loc_adj\.w': 'context.decay',
    r'self_attention\.loc_adj\.b': 'context.offset',
    r'self_attention\.norm': 'norm',
    r'self_attention\.linear1': 'to_embedding',
    r'self_attention\.linear2': 'to_hidden',
    'classifier': 'classifier',
    'logit_scale': 'logit_scale',
}


def from_pel4vad(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """``ckpt/*.pkl`` of https://github.com/yujiangpu20/PEL4VAD in the names of PEL4VAD; text features are not in it.

    Args:
        tensors (Mapping[str, Tensor]): The authors' state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict but for ``prompt_features``; None where it is another layout.

    Raises:
        CheckpointError: Tensors that this layout does not have.
    """
    renamed = rename_tensors(tensors, _RULES, signature='self_attention.loc_adj.w', method='PEL4VAD')
    if renamed is None:
        return None
    convolutions = 'to_embedding.weight', 'to_hidden.weight'  # of width 1; here they are linear layers
    renamed |= {name: renamed[name].flatten(1) for name in convolutions if name in renamed}
    return renamed | {
        name: renamed[name].reshape(()) for name in ('context.decay', 'context.offset') if name in renamed
    }
