"""The names of tensors in PEL4VAD's public checkpoints."""

from collections.abc import Mapping

from torch import Tensor

from .layer_renaming import rename_layers

_NAMES = {
    'self_attention.self_attn.q': 'context.query',
    'self_attention.self_attn.k': 'context.key',
    'self_attention.self_attn.v': 'context.value',
    'self_attention.self_attn.o': 'context.output',
    'self_attention.self_attn.alpha': 'context.gate',
    'self_attention.loc_adj.w': 'context.decay',
    'self_attention.loc_adj.b': 'context.offset',
    'self_attention.norm': 'norm',
    'self_attention.linear1': 'to_embedding',
    'self_attention.linear2': 'to_hidden',
    'classifier': 'classifier',
    'logit_scale': 'logit_scale',
}


def from_pel4vad(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """``ckpt/*.pkl`` of https://github.com/yujiangpu20/PEL4VAD in the names of PEL4VAD; text features are not in it.

    Args:
        tensors (Mapping[str, Tensor]): The authors' state dict, without ``module.`` prefixes.

    Returns:
        dict[str, Tensor] | None: Our state dict but for ``prompt_features``; None where it is another layout.
    """
    renamed = rename_layers(tensors, _NAMES)
    if renamed is None:
        return None
    for name in ('to_embedding', 'to_hidden'):  # convolutions of width 1 there, linear layers here
        renamed[f'{name}.weight'] = renamed[f'{name}.weight'].flatten(1)
    return renamed | {name: renamed[name].reshape(()) for name in ('context.decay', 'context.offset')}
