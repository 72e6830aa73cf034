"""Reads the checkpoints of VadCLIP's authors."""

from collections.abc import Mapping

from torch import Tensor

from vadlab.utils.errors import CheckpointError

from .public_layout import rename_tensors
from .renaming import from_openai

_CLIP = 'clipmodel.'
#: Rules for the parts that DSANet shares with VadCLIP: the temporal adapter and both branches.
SHARED_RULES: dict[str, str | None] = {
    r'temporal\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)': r'adapter.blocks.\1.qkv.\2',
    r'temporal\.resblocks\.(\d+)\.attn\.out_proj': r'adapter.blocks.\1.out',
    r'temporal\.resblocks\.(\d+)\.ln_([12])': r'adapter.blocks.\1.norm\2',
    r'temporal\.resblocks\.(\d+)\.mlp\.c_fc': r'adapter.blocks.\1.fc1',
    r'temporal\.resblocks\.(\d+)\.mlp\.c_proj': r'adapter.blocks.\1.fc2',
    r'gc1\.residual': 'adapter.similar1.residual',
    r'gc3\.residual': 'adapter.near1.residual',
    r'gc1': 'adapter.similar1.weight',
    r'gc2': 'adapter.similar2.weight',
    r'gc3': 'adapter.near1.weight',
    r'gc4': 'adapter.near2.weight',
    r'disAdj\.sigma': None,  # a parameter that their code does not use
    r'linear': 'adapter.linear',
    r'frame_position_embeddings\.weight': 'adapter.positional_embedding',
    r'mlp1\.c_fc': 'text_mlp.fc1',
    r'mlp1\.c_proj': 'text_mlp.fc2',
    r'mlp2\.c_fc': 'binary_mlp.fc1',
    r'mlp2\.c_proj': 'binary_mlp.fc2',
    r'classifier': 'classifier',
}
_TRANSPOSED = tuple(f'adapter.{name}.weight.weight' for name in ('similar1', 'similar2', 'near1', 'near2'))


def from_vadclip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """State dict for VadCLIP from its authors' ``model_ucf.pth`` or ``model_xd.pth``; None for other layouts.

    Args:
        tensors (Mapping[str, Tensor]): Tensors under the authors' names.

    Raises:
        CheckpointError: The layout is the authors', but tensors are missing or unknown.
    """
    rules = SHARED_RULES | {r'text_prompt_embeddings\.weight': 'prompt_embedding'}
    return rename_with_clip(tensors, rules, signature='text_prompt_embeddings.weight', method='VadCLIP')


def rename_with_clip(
    tensors: Mapping[str, Tensor], rules: Mapping[str, str | None], signature: str, method: str
) -> dict[str, Tensor] | None:
    """As :func:`rename_tensors`, for files that contain a whole CLIP of which the method uses the text tower.

    CLIP's vision tower is skipped.

    Raises:
        CheckpointError: The layout is this one, but tensors are missing or unknown.
    """
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CLIP)}
    state = rename_tensors(own, rules, signature=signature, method=method)
    if state is None:
        return None
    clip = {name.removeprefix(_CLIP): tensor for name, tensor in tensors.items() if name.startswith(_CLIP)}
    if not clip:
        raise CheckpointError(
            f"A checkpoint in the layout of {method}'s authors lacks the CLIP weights ({_CLIP}*) that it was saved "
            'with. Use the whole file.'
        )
    for name in _TRANSPOSED:
        if name in state:
            state[name] = state[name].T.contiguous()
    weights = from_openai(clip, f"the CLIP inside {method}'s checkpoint")
    state.update({f'text.{name}': tensor for name, tensor in weights.text.items()})
    state['text_projection.weight'] = weights.extras['text_projection.weight']
    return state
