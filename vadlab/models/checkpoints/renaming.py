"""Renames CLIP tensors of OpenAI, Hugging Face and FG-CLIP to VADLab's names."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from vadlab.utils.errors import CheckpointError

from ..layers.activations import ACTIVATIONS
from ..layers.long_positions import KEPT_POSITIONS
from .clip_weights import CLIPWeights
from .fgclip2_loading import check_generation

EXTRAS = (
    'visual_projection.weight',
    'text_projection.weight',
    'roi_projection.weight',
    'text_filip_projection.weight',
    'logit_scale',
    'logit_scale_finegrained',
    'logit_scale_hardneg',
)
_REQUIRED_EXTRAS = EXTRAS[:2]
# Constants that some versions store with the weights.
_OPENAI_CONSTANTS = re.compile(r'^(visual\.)?(input_resolution|context_length|vocab_size|attn_mask)$|\.attn_mask$')
_OPENAI_MARKS = {'input_resolution', 'context_length', 'vocab_size'}
_HF_CONSTANTS = re.compile(r'\.position_ids$|\.mask[12]$')

# Layers of a block, by their names in a file.
_OPENAI_BLOCK = {'attn.out_proj': 'out', 'ln_1': 'norm1', 'ln_2': 'norm2', 'mlp.c_fc': 'fc1', 'mlp.c_proj': 'fc2'}
_HF_BLOCK = {
    'self_attn.out_proj': 'out',
    'layer_norm1': 'norm1',
    'layer_norm2': 'norm2',
    'mlp.fc1': 'fc1',
    'mlp.fc2': 'fc2',
}


class _Tensors:
    """Tensors of a file by their old names; records which are missing and which are left over."""

    def __init__(self, tensors: dict[str, Any], source: str) -> None:
        self._left = {name: t for name, t in tensors.items() if isinstance(t, Tensor)}
        self._missing: list[str] = []
        self.source = source

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, ndim: int | None = None) -> Tensor:
        tensor = self._left.pop(name, None)
        if tensor is None or ndim not in (None, tensor.ndim):
            self._missing.append(name)
            return torch.zeros([0] * (ndim or 1))
        return tensor.float() if tensor.is_floating_point() else tensor

    def take_layer(self, old: str, new: str) -> dict[str, Tensor]:
        return {f'{new}.{kind}': self.take(f'{old}.{kind}') for kind in ('weight', 'bias')}

    def count_blocks(self, prefix: str) -> int:
        indices = {name[len(prefix) :].split('.')[0] for name in self._left if name.startswith(prefix)}
        return len(indices)

    def take_blocks(
        self, prefix: str, layers: Mapping[str, str], take_qkv: Callable[[str, str], Tensor]
    ) -> dict[str, Tensor]:
        """Tensors of a tower's blocks: ``layers`` renames layers, ``take_qkv(block, kind)`` takes the projection."""
        state = {}
        for i in range(self.count_blocks(f'{prefix}.')):
            old, new = f'{prefix}.{i}', f'blocks.{i}'
            for kind in ('weight', 'bias'):
                state[f'{new}.qkv.{kind}'] = take_qkv(old, kind)
            for theirs, ours in layers.items():
                state.update(self.take_layer(f'{old}.{theirs}', f'{new}.{ours}'))
        return state

    def finish(self, constants: re.Pattern) -> None:
        left = [name for name in self._left if not constants.search(name)]
        problems = [
            f'{what} {len(names)} tensors: {", ".join(names[:6])}{", ..." if len(names) > 6 else ""}'
            for what, names in (('it lacks', self._missing), ('it has unknown', left))
            if names
        ]
        if problems:
            raise CheckpointError(f'{self.source} is not a CLIP that VADLab knows: {"; ".join(problems)}.')


def from_openai(tensors: dict[str, Any], source: str, settings: dict | None = None) -> CLIPWeights:
    """CLIP weights from OpenAI's names (``visual.transformer.resblocks.0.attn.in_proj_weight``).

    Projections have shape (width, embed). OpenCLIP's models have the same names, but other heads and another
    activation. OpenAI's own files are recognised by the constants that they store with the weights. Their heads have 64
    channels each, and their activation is QuickGELU (github.com/openai/CLIP, ``build_model``).

    Args:
        tensors (dict): Tensors by name.
        source (str): Name of the file, for messages.
        settings (dict | None): Settings from :func:`~vadlab.models.checkpoints.tower_settings.tower_settings`, for
            files that are not OpenAI's own.

    Raises:
        CheckpointError: The file is another kind of CLIP, or tensors are missing or left over.
    """
    _refuse_other_kinds(tensors, source)
    from_openai_itself = not _OPENAI_MARKS.isdisjoint(tensors)
    file = _Tensors(tensors, source)

    def blocks(prefix: str) -> dict[str, Tensor]:
        return file.take_blocks(prefix, _OPENAI_BLOCK, lambda old, kind: file.take(f'{old}.attn.in_proj_{kind}'))

    vision = {
        'patch_embedding.weight': file.take('visual.conv1.weight'),
        'class_embedding': file.take('visual.class_embedding'),
        'positional_embedding': file.take('visual.positional_embedding'),
        **file.take_layer('visual.ln_pre', 'pre_norm'),
        **blocks('visual.transformer.resblocks'),
        **file.take_layer('visual.ln_post', 'post_norm'),
    }
    text = {
        'token_embedding.weight': file.take('token_embedding.weight'),
        'positional_embedding': file.take('positional_embedding'),
        **blocks('transformer.resblocks'),
        **file.take_layer('ln_final', 'final_norm'),
    }
    extras = {
        'visual_projection.weight': file.take('visual.proj', 2).T.contiguous(),
        'text_projection.weight': file.take('text_projection', 2).T.contiguous(),
        'logit_scale': file.take('logit_scale'),
    }
    file.finish(_OPENAI_CONSTANTS)
    extras['logit_scale'] = extras['logit_scale'].reshape(())
    if from_openai_itself:
        widths = {'vision': len(vision['class_embedding']), 'text': text['token_embedding.weight'].shape[1]}
        settings = {tower: dict(heads=width // 64, hidden_act='quick_gelu') for tower, width in widths.items()}
        heads = ', '.join(f'{tower} {part["heads"]}' for tower, part in settings.items())
        print_log(f"{source} is OpenAI's own file: heads of 64 channels ({heads}), quick_gelu.", 'current')
    return CLIPWeights(vision, text, extras, infer_arch(vision, text, extras, settings, source), source)


#: Kinds of CLIP that are not supported, by a tensor that only they have.
_OTHER_KINDS = (
    (r'visual\.layer1\.', 'a CLIP with a ResNet; only vision transformers can be read'),
    (r'vision_model\.head\.probe$|visual\.trunk\.attn_pool\.', 'a SigLIP, whose image tower has no class token'),
    (r'visual\.trunk\.', 'an OpenCLIP model with an image tower of timm (SigLIP, ConvNeXt, ViTamin, MobileCLIP, ...)'),
    (r'visual\.(cls_token$|blocks\.)', 'an EVA-CLIP'),
    (r'text_decoder\.|visual\.attn_pool\.', 'a CoCa, which pools patches by attention'),
    (r'text\.transformer\.(embeddings|encoder|shared)\.', 'a CLIP with a text tower of Hugging Face (XLM-R, mT5, ...)'),
    (r'.*\.ls_1\.gamma$', 'a CLIP with layer scale'),
    (r'logit_bias$', 'a SigLIP: its logits have a bias'),
)


def _refuse_other_kinds(tensors: dict[str, Any], source: str) -> None:
    """Raise an error that names the kind of CLIP, if it is not supported."""
    check_generation(tensors, source, wanted=1)
    for pattern, kind in _OTHER_KINDS:
        name = next((name for name in tensors if re.match(pattern, name)), None)
        if name is not None:
            raise CheckpointError(f"{source} is {kind} ({name}). VADLab's CLIP does not have this.")
    if 'visual.class_embedding' in tensors and 'visual.ln_pre.weight' not in tensors:
        raise CheckpointError(
            f'{source} is a CLIPA: it has no norm before its blocks (visual.ln_pre), which is not supported.'
        )


def from_hugging_face(tensors: dict[str, Any], settings: dict | None, source: str) -> CLIPWeights:
    """CLIP weights from the names of ``transformers`` and FG-CLIP.

    FG-CLIP stores two long position tables: rows 0 to 19 of ``_ori`` and the other rows of ``_res`` are used.

    Args:
        tensors (dict): Tensors by name.
        settings (dict | None): Settings from :func:`~vadlab.models.checkpoints.tower_settings.tower_settings`.
        source (str): Name of the file, for messages.

    Raises:
        CheckpointError: The file is another kind of CLIP, or tensors are missing or left over.
    """
    _refuse_other_kinds(tensors, source)
    file = _Tensors(tensors, source)

    def joined(old: str, kind: str) -> Tensor:
        return torch.cat([file.take(f'{old}.self_attn.{name}_proj.{kind}') for name in 'qkv'])

    def blocks(tower: str) -> dict[str, Tensor]:
        return file.take_blocks(f'{tower}.encoder.layers', _HF_BLOCK, joined)

    vision = {
        'patch_embedding.weight': file.take('vision_model.embeddings.patch_embedding.weight'),
        'class_embedding': file.take('vision_model.embeddings.class_embedding'),
        'positional_embedding': file.take('vision_model.embeddings.position_embedding.weight'),
        **file.take_layer('vision_model.pre_layrnorm', 'pre_norm'),
        **blocks('vision_model'),
        **file.take_layer('vision_model.post_layernorm', 'post_norm'),
    }
    text = {
        'token_embedding.weight': file.take('text_model.embeddings.token_embedding.weight'),
        'positional_embedding': file.take('text_model.embeddings.position_embedding.weight'),
        **blocks('text_model'),
        **file.take_layer('text_model.final_layer_norm', 'final_norm'),
    }
    stem = 'text_model.embeddings.position_embedding'
    if f'{stem}_res.weight' in file or f'{stem}_ori.weight' in file:
        original, rest = file.take(f'{stem}_ori.weight'), file.take(f'{stem}_res.weight')
        text['positional_embedding_long'] = torch.cat([original[:KEPT_POSITIONS], rest[KEPT_POSITIONS:]])
    extras = {name: file.take(name) for name in EXTRAS if name in file or name in _REQUIRED_EXTRAS}
    if 'logit_scale_finegraind' in file:  # FG-CLIP's spelling
        extras['logit_scale_finegrained'] = file.take('logit_scale_finegraind')
    extras = {name: t.reshape(()) if name.startswith('logit') else t for name, t in extras.items()}
    file.finish(_HF_CONSTANTS)

    return CLIPWeights(vision, text, extras, infer_arch(vision, text, extras, settings, source), source)


def from_vadlab(tensors: dict[str, Any], arch: dict | None, source: str) -> CLIPWeights:
    """CLIP weights from VADLab's names, in an exported file or a training checkpoint.

    Other state of a training checkpoint (queues, ...) is skipped.

    Args:
        tensors (dict): Tensors by name: ``vision.*``, ``text.*``, projections and temperatures.
        arch (dict | None): The architecture that was saved with the tensors, if any.
        source (str): Name of the file, for messages.

    Raises:
        CheckpointError: A projection is missing.
    """

    def part(prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(prefix): _float(t) for n, t in tensors.items() if n.startswith(prefix)}

    vision, text = part('vision.'), part('text.')
    extras = {name: _float(tensors[name]) for name in EXTRAS if name in tensors}
    missing = [name for name in _REQUIRED_EXTRAS if name not in extras]
    if missing or not text:
        raise CheckpointError(f'{source} lacks {", ".join(missing) or "the text tower (text.*)"}.')
    return CLIPWeights(vision, text, extras, infer_arch(vision, text, extras, arch, source), source)


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def infer_arch(vision: dict, text: dict, extras: dict, settings: dict | None, source: str) -> dict:
    """Constructor arguments of the towers, from tensor shapes and ``settings``.

    Args:
        vision (dict): Tensors under our names.
        text (dict): Tensors under our names.
        extras (dict): Projections.
        settings (dict | None): ``vision`` and ``text``, each with ``heads`` and ``hidden_act``, and optionally
            ``width`` and ``layers``. Unknown values are None in the result.
        source (str): Name of the file, for messages.

    Raises:
        CheckpointError: Tensors are missing, or the settings are of another model.
    """
    try:
        patch = vision['patch_embedding.weight'].shape[-1]
        grid = math.isqrt(len(vision['positional_embedding']) - 1)
        if grid * grid + 1 != len(vision['positional_embedding']):
            raise CheckpointError(f'{source}: its frames are not square, which VADLab cannot use.')
        arch: dict[str, Any] = {
            'vision': dict(image_size=grid * patch, patch_size=patch, width=len(vision['class_embedding'])),
            'text': dict(
                vocab_size=len(text['token_embedding.weight']),
                context_length=len(text['positional_embedding']),
                long_context_length=len(text['positional_embedding_long'])
                if 'positional_embedding_long' in text
                else None,
                width=text['token_embedding.weight'].shape[1],
            ),
        }
        for tower, state in (('vision', vision), ('text', text)):
            hidden, width = state['blocks.0.fc1.weight'].shape
            layers = sum(name.endswith('.fc1.weight') for name in state)
            arch[tower]['layers'] = layers
            told = settings.get(tower) if isinstance(settings, dict) else None
            heads, act = _heads_and_act(told if isinstance(told, dict) else {}, arch[tower], tower, source)
            arch[tower].update(heads=heads, mlp_ratio=hidden / width, hidden_act=act)
        arch['embed_dim'] = embed_dim = len(extras['visual_projection.weight'])
        for name, found, wanted in (
            ('patch embedding', vision['patch_embedding.weight'], (arch['vision']['width'], 3, patch, patch)),
            ('projection of frames', extras['visual_projection.weight'], (embed_dim, arch['vision']['width'])),
            ('projection of texts', extras['text_projection.weight'], (embed_dim, arch['text']['width'])),
        ):
            if found.shape != wanted:
                raise CheckpointError(f'{source}: its {name} has the shape {tuple(found.shape)}, not {wanted}.')
        return arch
    except KeyError as error:
        raise CheckpointError(f'{source} lacks {error}.') from error


def _heads_and_act(told: dict, arch: dict, tower: str, source: str) -> tuple[int | None, str | None]:
    for key in ('width', 'layers'):
        if told.get(key) is not None and told[key] != arch[key]:
            raise CheckpointError(
                f'{source}: its config is of another model: {tower} {key} is {told[key]} there, {arch[key]} in the '
                'weights. Put the right config.json or open_clip_config.json beside the weights, or none.'
            )
    heads, act = told.get('heads'), told.get('hidden_act')
    if heads is not None and (not isinstance(heads, int) or heads < 1 or arch['width'] % heads):
        raise CheckpointError(f'{source}: {heads!r} heads do not divide the {tower} width of {arch["width"]}.')
    if act is not None and (not isinstance(act, str) or act not in ACTIVATIONS):
        raise CheckpointError(
            f'{source}: hidden_act={act!r} of its {tower} tower is not one of {", ".join(ACTIVATIONS)}.'
        )
    return heads, act
