"""Reading FG-CLIP 2 and SigLIP 2 in the layout that their authors release."""

import re
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.checkpoints.hub import hub_folder
from vadlab.checkpoints.weights import check_float_weights, check_weights, listed
from vadlab.utils.errors import CheckpointError
from vadlab.utils.required_files import require_clip_weights

from ..layers.logit_scale import MAX_LOGIT_SCALE
from ..layers.long_positions import KEPT_POSITIONS
from .hugging_face_folder import WEIGHT_FILES, read_folder_weights, read_json_object

# Names of a released file and ours; the first match is used.
_NAMES = (
    (r'^vision_model\.embeddings\.patch_embedding\.', 'vision.patch_embedding.'),
    (r'^vision_model\.embeddings\.position_embedding\.weight$', 'vision.positional_embedding'),
    (r'^vision_model\.encoder\.layers\.', 'vision.blocks.'),
    (r'^vision_model\.post_layernorm\.', 'vision.post_norm.'),
    (r'^vision_model\.head\.', 'vision.pool.'),
    (r'^dense_feature_head\.', 'vision.dense_head.'),
    (r'^text_model\.embeddings\.token_embedding\.', 'text.token_embedding.'),
    (r'^text_model\.embeddings\.position_embedding\.weight$', 'text.positional_embedding'),
    (r'^text_model\.encoder\.layers\.', 'text.blocks.'),
    (r'^text_model\.final_layer_norm\.', 'text.final_norm.'),
    (r'^text_model\.head\.', 'text_projection.'),
    (r'^longtext_head\.', 'text_filip_projection.'),
    (r'^boxtext_head\.', 'text_box_projection.'),
    (r'^logit_scale_finegraind$', 'logit_scale_finegrained'),  # the authors' spelling
    (r'^(logit_scale(_finegrained|_hardneg)?|logit_bias)$', r'\1'),
)
_LONG = 'text_model.embeddings.position_embedding_{}.weight'
# Tensors of a file that no computation uses: constants, and the query of the dense feature head.
_UNUSED = re.compile(r'\.(position_ids|mask[12])$|^dense_feature_head\.probe$')
_OF_FGCLIP1 = re.compile(r'^(vision_model\.embeddings\.class_embedding|visual_projection\.weight|visual\.)')
_OF_FGCLIP2 = re.compile(r'^(dense_feature|longtext|boxtext)_head\.')
#: Parts of the model that a plain SigLIP 2 does not have, and the parts that they start from.
_COPIES = {
    'text_filip_projection.': 'text_projection.',
    'text_box_projection.': 'text_projection.',
    'vision.dense_head.': 'vision.pool.',
}


def check_generation(names: Any, source: str, wanted: int) -> None:
    """Refuse weights of the other generation of FG-CLIP, or of both.

    Args:
        names (Iterable[str]): Names of the file's tensors.
        source (str): Name of the file, for messages.
        wanted (int): 1 for FG-CLIP and other CLIPs, 2 for FG-CLIP 2.

    Raises:
        CheckpointError: The message names a tensor.
    """
    first, second = (next(filter(kind.search, names), None) for kind in (_OF_FGCLIP1, _OF_FGCLIP2))
    if first and second:
        raise CheckpointError(
            f'{source} mixes weights of FG-CLIP 1 ({first}) and FG-CLIP 2 ({second}): its files are of two models. '
            'Copy or download all files of one model again.'
        )
    if wanted == 2 and first:
        raise CheckpointError(
            f'{source} holds weights of FG-CLIP 1 or another CLIP ({first}), but the model is FG-CLIP 2. Take a config '
            'of FG-CLIP 1, such as configs/fgclip_ucf.py, or the weights of FG-CLIP 2, such as qihoo360/fg-clip2-base.'
        )
    if wanted == 1 and second:
        raise CheckpointError(
            f'{source} holds weights of FG-CLIP 2 ({second}), but the model is a CLIP or FG-CLIP 1. Take a config of '
            'FG-CLIP 2, such as configs/fgclip2_ucf.py, or the weights of FG-CLIP 1, such as qihoo360/fg-clip-base.'
        )


def read_fgclip2(path_or_id: str | Path) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]], str]:
    """Read FG-CLIP 2, or a SigLIP 2 with patches of any aspect ratio; no code in the files is executed.

    Args:
        path_or_id (str | Path): A folder with ``config.json`` and the weights (``model.safetensors``, in shards with an
            index, or ``pytorch_model.bin``), or a Hugging Face id such as ``qihoo360/fg-clip2-base``, which is
            downloaded if it is not in the local cache.

    Returns:
        tuple: float32 tensors under our names; the sizes of both towers (``vision``, ``text``); the source.

    Raises:
        MissingFileError: The folder does not exist.
        CheckpointError: A file is damaged or missing, a shard is missing, or it is another model.
    """
    path, source = Path(path_or_id).expanduser(), str(path_or_id)
    require_clip_weights(source)
    if path.is_file():
        raise CheckpointError(
            f'{source} is a file; give the folder with config.json, tokenizer.json and the weights of FG-CLIP 2. A '
            'checkpoint of your own training goes to load_from.'
        )
    folder = path if path.is_dir() else hub_folder(source, [('config.json', name) for name in WEIGHT_FILES])
    if not (folder / 'config.json').is_file():
        raise CheckpointError(f'{folder} has no config.json. Copy it from the source of the weights.')
    config = read_json_object(folder / 'config.json')
    tensors, _ = read_folder_weights(folder)
    check_generation(tensors, source, wanted=2)
    state = _renamed(tensors, source)
    check_float_weights(state, source)
    return state, _sizes(state, config, source), source


def init_from_fgclip2(model: nn.Module, path_or_id: str | Path) -> None:
    """Load FG-CLIP 2 into a detector; parts that a SigLIP 2 lacks start from their counterparts, as the authors do.

    The long position table is stretched from the short one, the heads for long captions and boxes start from the text
    head, the dense feature head from the pooling head, and missing temperatures at ln 100. All of this is logged.

    Args:
        model (nn.Module): An FGCLIP2.
        path_or_id (str | Path): See :func:`read_fgclip2`.

    Raises:
        CheckpointError: The weights have another architecture; the message lists the differences.
    """
    state, sizes, source = read_fgclip2(path_or_id)
    _check_sizes(model, sizes, source)
    logger = MMLogger.get_current_instance()
    own = {name: value for name, value in model.state_dict().items() if _is_loaded(name)}
    for part, start in _COPIES.items():
        if any(name.startswith(part) for name in own) and not any(name.startswith(part) for name in state):
            taken = {n: state[start + n.removeprefix(part)] for n in own if n.startswith(part)}
            state |= {name: value.clone() for name, value in taken.items()}
            logger.info(f'{source}: {part[:-1]} is not in the file and starts from {start[:-1]}.')
    stretch = model.text.long_context_length is not None and 'text.positional_embedding_long' not in state
    if stretch:
        state['text.positional_embedding_long'] = own['text.positional_embedding_long']
    elif model.text.long_context_length is None:
        for name in [n for n in state if n == 'text.positional_embedding_long' or n.startswith('text_filip_')]:
            del state[name]
        logger.info(f'{source}: its long text path is skipped: the model has none.')
    for name in ('logit_scale_finegrained', 'logit_scale_hardneg'):
        if name not in state:
            state[name] = torch.tensor(MAX_LOGIT_SCALE)
            logger.info(f'{source}: {name} is not in the file and starts at ln 100.')
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    problems = [f'it lacks {listed(missing)}'] if missing else []
    problems += [f'it has unknown tensors: {listed(unknown)}'] if unknown else []
    shapes = [f'{n}: {tuple(state[n].shape)}' for n in own if n in state and state[n].shape != own[n].shape]
    problems += [f'other shapes than in the model: {listed(shapes)}'] if shapes else []
    if problems:
        raise CheckpointError(f'{source} is not an FG-CLIP 2 that VADLab knows: {"; ".join(problems)}.')
    check_weights(state, own, source)
    model.load_state_dict(state, strict=False)
    if stretch:
        model.text.stretch_positions()
        logger.info(
            f'{source}: long position table of {model.text.long_context_length} rows stretched from the '
            f'{model.text.context_length} of the short one.'
        )


def _is_loaded(name: str) -> bool:
    return name.startswith(('vision.', 'text.', 'text_', 'logit_'))


def _renamed(tensors: dict[str, Any], source: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    unknown = []
    tables = {name: tensors.get(_LONG.format(name)) for name in ('ori', 'res')}
    for name, tensor in tensors.items():
        if _UNUSED.search(name) or name in (_LONG.format('ori'), _LONG.format('res')):
            continue
        ours = next((re.sub(old, new, name) for old, new in _NAMES if re.match(old, name)), None)
        if ours is None or not isinstance(tensor, Tensor):
            unknown.append(name)
            continue
        state[ours] = tensor.float() if tensor.is_floating_point() else tensor
    if unknown:
        raise CheckpointError(
            f'{source} is not an FG-CLIP 2 or SigLIP 2 that VADLab knows: unknown tensors {listed(unknown)}.'
        )
    if tables['ori'] is not None and tables['res'] is not None:
        # Rows of the first table for the first 20 positions, of the second one for the others.
        parts = [tables['ori'][:KEPT_POSITIONS], tables['res'][KEPT_POSITIONS:]]
        state['text.positional_embedding_long'] = torch.cat(parts).float()
    for name in [n for n in state if n.startswith('logit_')]:
        state[name] = state[name].reshape(())
    patches = state.get('vision.patch_embedding.weight')
    if patches is not None and patches.ndim == 2:  # a linear layer over rows, columns and channels of a patch
        side = round((patches.shape[1] / 3) ** 0.5)
        if 3 * side * side != patches.shape[1]:
            raise CheckpointError(
                f'{source}: its patches have {patches.shape[1]} values, which is not 3 times a square number.'
            )
        state['vision.patch_embedding.weight'] = patches.unflatten(1, (side, side, 3)).permute(0, 3, 1, 2).contiguous()
    return state


def _sizes(state: dict[str, Tensor], config: dict[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """Sizes of both towers, from tensor shapes, and the number of heads from the config."""
    try:
        patches, words = state['vision.patch_embedding.weight'], state['text.token_embedding.weight']
        long = state.get('text.positional_embedding_long')
        sizes: dict[str, dict[str, Any]] = {
            'vision': dict(
                width=len(patches), patch_size=patches.shape[-1], num_patches=len(state['vision.positional_embedding'])
            ),
            'text': dict(
                width=words.shape[1],
                vocab_size=len(words),
                context_length=len(state['text.positional_embedding']),
                long_context_length=None if long is None else len(long),
            ),
        }
        for tower, found in sizes.items():
            found['layers'] = sum(n.startswith(f'{tower}.blocks.') and n.endswith('mlp.fc1.weight') for n in state)
            found['hidden'] = len(state[f'{tower}.blocks.0.mlp.fc1.weight'])
    except (KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f'{source} is not an FG-CLIP 2: it lacks {error}.') from error
    for tower in sizes:
        part = config.get(f'{tower}_config')
        if not isinstance(part, dict):
            raise CheckpointError(f'{source}: config.json has no {tower}_config.')
        act, eps = part.get('hidden_act', 'gelu_pytorch_tanh'), part.get('layer_norm_eps', 1e-6)
        if act != 'gelu_pytorch_tanh' or eps != 1e-6:
            raise CheckpointError(
                f'{source}: config.json has {tower}_config.hidden_act={act!r} and layer_norm_eps={eps!r}; FG-CLIP 2 '
                "has 'gelu_pytorch_tanh' and 1e-06."
            )
        width = part.get('hidden_size', 768)
        if width != sizes[tower]['width']:
            raise CheckpointError(
                f'{source}: config.json is of another model: {tower} hidden_size is {width!r} there, '
                f'{sizes[tower]["width"]} in the weights.'
            )
        sizes[tower]['heads'] = part.get('num_attention_heads', 12)
    return sizes


def _check_sizes(model: nn.Module, sizes: dict[str, dict[str, Any]], source: str) -> None:
    differences = []
    for tower, found in sizes.items():
        own = getattr(model, tower)
        mine: dict[str, Any] = dict(
            width=own.width, layers=len(own.blocks), heads=own.heads, hidden=own.blocks[0].mlp.fc1.out_features
        )
        if tower == 'vision':
            mine |= dict(patch_size=own.patch_size, num_patches=len(own.positional_embedding))
        else:
            mine |= dict(vocab_size=own.vocab_size, context_length=own.context_length)
            if found['long_context_length'] and own.long_context_length:
                mine |= dict(long_context_length=own.long_context_length)
        if found['hidden'] != mine['hidden']:  # in the config, it is a ratio
            found, mine = dict(found), dict(mine)
            found['mlp_ratio'], mine['mlp_ratio'] = found['hidden'] / found['width'], mine['hidden'] / mine['width']
        differences += [
            f'{tower}.{name} is {found[name]} in the file, {value} in the config'
            for name, value in mine.items()
            if name != 'hidden' and found[name] != value
        ]
    if differences:
        raise CheckpointError(f'{source} is another model: {"; ".join(differences)}.')
