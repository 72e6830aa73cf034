"""A small FG-CLIP with deterministic weights, in the layout that its authors release."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .released_fgclip2 import numbers

START, END = 49406, 49407
WIDTH, EMBED, LAYERS, HEADS, IMAGE, PATCH = 32, 16, 2, 4, 32, 16
VISION = dict(type='CLIPVisionTransformer', image_size=IMAGE, patch_size=PATCH, width=WIDTH, layers=LAYERS, heads=HEADS)
TEXT = dict(type='CLIPTextTransformer', width=WIDTH, layers=LAYERS, heads=HEADS)
TEMPERATURES = dict(logit_scale=3.0, logit_scale_finegraind=2.5, logit_scale_hardneg=2.0)


def released_tensors():
    """Tensors by their names in a released file."""
    w = WIDTH
    shapes = {
        'text_model.embeddings.token_embedding.weight': (END + 1, w),
        'text_model.embeddings.position_embedding.weight': (77, w),
        'text_model.embeddings.position_embedding_res.weight': (248, w),
        'text_model.embeddings.position_embedding_ori.weight': (248, w),
        'vision_model.embeddings.class_embedding': (w,),
        'vision_model.embeddings.patch_embedding.weight': (w, 3, PATCH, PATCH),
        'vision_model.embeddings.position_embedding.weight': (1 + (IMAGE // PATCH) ** 2, w),
        'visual_projection.weight': (EMBED, w),
        'text_projection.weight': (EMBED, w),
        'text_filip_projection.weight': (EMBED, w),
    }
    norms = ['text_model.final_layer_norm', 'vision_model.pre_layrnorm', 'vision_model.post_layernorm']
    layers = dict.fromkeys(norms)
    for tower in ('text_model', 'vision_model'):
        for i in range(LAYERS):
            block = f'{tower}.encoder.layers.{i}'
            layers |= {f'{block}.layer_norm{n}': None for n in (1, 2)}
            layers |= {f'{block}.self_attn.{n}_proj': (w, w) for n in ('q', 'k', 'v', 'out')}
            layers |= {f'{block}.mlp.fc1': (4 * w, w), f'{block}.mlp.fc2': (w, 4 * w)}
    tensors = {name: numbers(shape, i, 0.3) for i, (name, shape) in enumerate(sorted(shapes.items()))}
    for i, (name, shape) in enumerate(sorted(layers.items())):
        tensors[f'{name}.weight'] = 1 + numbers((w,), i, 0.2) if shape is None else numbers(shape, i, 0.3)
        tensors[f'{name}.bias'] = numbers((w,) if shape is None else shape[:1], i + 0.5, 0.2)
    return tensors | {name: torch.tensor(value) for name, value in TEMPERATURES.items()}


def released_config():
    """The content of ``config.json``."""
    sizes = dict(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        hidden_act='quick_gelu',
        layer_norm_eps=1e-5,
    )
    text = sizes | dict(vocab_size=END + 1, max_position_embeddings=77, projection_dim=EMBED)
    vision = sizes | dict(image_size=IMAGE, patch_size=PATCH, projection_dim=EMBED)
    return dict(model_type='clip', projection_dim=EMBED, text_config=text, vision_config=vision)


def write_released(folder):
    """Write the folder: ``config.json`` and ``model.safetensors``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(released_config()))
    save_file(released_tensors(), folder / 'model.safetensors', metadata={'format': 'pt'})
    return folder


def token_ids(count, phase):
    """Token ids of a text, with start and end id."""
    ids = (numbers((count - 2,), phase).abs() * 40000).long() + 1
    return torch.cat([torch.tensor([START]), ids, torch.tensor([END])])


def parity_batch():
    """Three images with six regions, two of them with ten hard negatives each."""
    regions, hard = [3, 2, 1], [{1}, {0}, set()]
    boxes = []
    for i, count in enumerate(regions):
        corner = numbers((count, 2), 50 + i).abs() * 0.5
        boxes.append(torch.cat([corner, corner + 0.2 + 0.25 * numbers((count, 2), 60 + i).abs()], dim=1))
    return dict(
        images=numbers((3, 3, IMAGE, IMAGE), 40, 20.0),
        captions=[token_ids(n, 70 + n) for n in (10, 90, 5)],
        boxes=boxes,
        texts=[[token_ids(4 + r, 80 + 10 * i + r) for r in range(count)] for i, count in enumerate(regions)],
        negatives=[
            [[token_ids(6, 120 + 100 * i + 10 * r + k) for k in range(10 if r in hard[i] else 0)] for r in range(count)]
            for i, count in enumerate(regions)
        ],
    )
