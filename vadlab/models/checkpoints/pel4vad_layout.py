"""Reads the checkpoints of PEL4VAD's authors."""

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
    """State dict for PEL4VAD from its authors' ``ckpt/*.pkl``, which do not contain the text features.

    The files are from https://github.com/yujiangpu20/PEL4VAD.

    Args:
        tensors (Mapping[str, Tensor]): The authors' state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict without ``prompt_features``; None for another layout.

    Raises:
        CheckpointError: The checkpoint has tensors that this layout does not have.
    """
    renamed = rename_tensors(tensors, _RULES, signature='self_attention.loc_adj.w', method='PEL4VAD')
    if renamed is None:
        return None
    convolutions = 'to_embedding.weight', 'to_hidden.weight'  # convolutions of width 1, which are linear layers here
    renamed |= {name: renamed[name].flatten(1) for name in convolutions if name in renamed}
    return renamed | {
        name: renamed[name].reshape(()) for name in ('context.decay', 'context.offset') if name in renamed
    }
