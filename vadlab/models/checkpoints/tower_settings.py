"""Settings of a CLIP's towers that do not follow from tensor shapes, from the JSON file beside the weights."""

import math
from collections.abc import Mapping
from typing import Any

from vadlab.utils.errors import CheckpointError

#: Files with the number of heads and the activation, in search order.
CONFIG_FILES = ('open_clip_config.json', 'config.json')

# OpenCLIP's settings that VADLab's towers support. Any other setting must have a value that turns it off.
_VISION_SETTINGS = {'layers', 'width', 'head_width', 'mlp_ratio', 'patch_size', 'image_size', 'patch_dropout'}
_TEXT_SETTINGS = {'layers', 'width', 'heads', 'mlp_ratio', 'context_length', 'vocab_size', 'pad_id', 'eos_id'}
_OF_CLIP = {'pool_type': ('tok', 'argmax'), 'proj_type': ('linear',), 'pos_embed_type': ('learnable',)}
_NO_PART_OF_A_TOWER = ('output_tokens', 'attn_pooler_', 'hf_tokenizer_', 'tokenizer_', 'timm_', 'hf_')
_OTHER_TOWERS = ('timm_model_name', 'hf_model_name')


def tower_settings(config: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]] | None:
    """Sizes, heads and activation of both towers, from a config of OpenCLIP or Hugging Face.

    Args:
        config (Mapping): Content of the JSON file. OpenCLIP's has ``vision_cfg`` and ``text_cfg``, possibly within
            ``model_cfg``; Hugging Face's has ``vision_config`` and ``text_config``.
        source (str): Path of the file, for messages.

    Returns:
        dict | None: ``vision`` and ``text`` with ``width``, ``layers``, ``heads`` and ``hidden_act``; None if it is not
        a config of a CLIP.

    Raises:
        CheckpointError: The model uses a setting that VADLab's CLIP does not support; the message names it.
    """
    inner = config.get('model_cfg', config)
    if isinstance(inner, Mapping) and 'vision_cfg' in inner:
        return _of_open_clip(inner, source)
    if any(f'{tower}_{ending}' in config for tower in ('vision', 'text') for ending in ('config', 'config_dict')):
        return _of_hugging_face(config, source)
    return None


def _of_open_clip(config: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    vision, text = _part(config, 'vision_cfg', source), _part(config, 'text_cfg', source)
    for name, part, known in (('vision_cfg', vision, _VISION_SETTINGS), ('text_cfg', text, _TEXT_SETTINGS)):
        for key, value in part.items():
            harmless = key in known or (key.startswith(_NO_PART_OF_A_TOWER) and key not in _OTHER_TOWERS)
            if value and not harmless and value not in _OF_CLIP.get(key, ()):
                raise CheckpointError(
                    f"{source}: {name}.{key}={value!r} is a setting that VADLab's CLIP does not have. Only OpenCLIP's "
                    'models with plain vision transformers and text transformers can be read.'
                )
    act = 'quick_gelu' if config.get('quick_gelu') else 'gelu'
    width = vision.get('width', 768)
    head_width = vision.get('head_width', 64)
    if not _is_size(width) or not _is_size(head_width) or width % head_width:
        raise CheckpointError(f'{source}: vision_cfg.head_width={head_width!r} does not divide width={width!r}.')
    return {
        'vision': dict(width=width, layers=vision.get('layers', 12), heads=width // head_width, hidden_act=act),
        'text': dict(
            width=text.get('width', 512), layers=text.get('layers', 12), heads=text.get('heads', 8), hidden_act=act
        ),
    }


def _of_hugging_face(config: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    kind = config.get('model_type', 'clip')
    if kind == 'fgclip2':
        raise CheckpointError(
            f'{source} is of FG-CLIP 2, but the model is a CLIP or FG-CLIP 1. Take a config of FG-CLIP 2, such as '
            'configs/fgclip2_ucf.py, or the weights of FG-CLIP 1, such as qihoo360/fg-clip-base.'
        )
    if isinstance(kind, str) and 'siglip' in kind:
        raise CheckpointError(
            f"{source}: {kind} is not a CLIP: its image tower has no class token, which VADLab's needs."
        )
    settings = {}
    # Defaults of transformers' CLIPVisionConfig and CLIPTextConfig.
    for tower, width, heads in (('vision', 768, 12), ('text', 512, 8)):
        # Older files repeat a tower's settings under *_config_dict, which take precedence.
        part = {**_part(config, f'{tower}_config', source), **_part(config, f'{tower}_config_dict', source)}
        eps = part.get('layer_norm_eps', 1e-5)
        if not isinstance(eps, int | float) or not math.isclose(eps, 1e-5, rel_tol=1e-3):
            raise CheckpointError(f'{source}: layer_norm_eps={eps}; CLIP has 1e-05.')
        settings[tower] = dict(
            width=part.get('hidden_size', width),
            layers=part.get('num_hidden_layers', 12),
            heads=part.get('num_attention_heads', heads),
            hidden_act=part.get('hidden_act', 'quick_gelu'),
        )
    return settings


def _part(config: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    part = config.get(key) or {}
    if not isinstance(part, Mapping):
        raise CheckpointError(f'{source}: {key} is a {type(part).__name__}, not an object.')
    return part


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
