"""A small checkpoint in the layout of DSANet's authors, with reproducible weights."""

import torch

from . import public_vadclip as vadclip
from .public_vadclip import PLACES, TEXT_HEADS, mlp, pair, shapes_of

WIDTH = 16
SIZES = dict(embed_dim=WIDTH, max_snippets=PLACES, window=4, layers=1, heads=1, adapted_blocks=1, adapter_weight=0.3)
SIZES |= dict(prototypes=4, normal_share=0.7, decoder_layers=2, class_temperature=5.0)
TEXT = dict(
    type='CLIPTextTransformer', width=WIDTH, layers=2, heads=TEXT_HEADS, context_length=77, long_context_length=None
)


def _refiner_block(prefix):
    return {
        **pair(f'{prefix}.norm1', WIDTH),
        **pair(f'{prefix}.attn.q', WIDTH, WIDTH),
        **pair(f'{prefix}.attn.kv', 2 * WIDTH, WIDTH),
        **pair(f'{prefix}.attn.proj', WIDTH, WIDTH),
        **pair(f'{prefix}.norm2', WIDTH),
        **pair(f'{prefix}.mlp.fc1', 4 * WIDTH, WIDTH),
        **pair(f'{prefix}.mlp.fc2', WIDTH, 4 * WIDTH),
    }


SHAPES = {
    **shapes_of(WIDTH, text_blocks=2),
    'clip_adapter.text_adapter.0.fc.0.weight': (WIDTH, WIDTH),
    'clip_adapter.text_adapter.1.fc.0.weight': (WIDTH, WIDTH),
    'video_anomaly_refiner.video_prototypes': (4, WIDTH),
    **mlp('video_anomaly_refiner.bottleneck', WIDTH),
    **_refiner_block('video_anomaly_refiner.dnp_extractor.0'),
    **_refiner_block('video_anomaly_refiner.decoder.0'),
    **_refiner_block('video_anomaly_refiner.decoder.1'),
    'video_anomaly_refiner.decoder.0.attn.learn_scale': (8, 1, 1),
    'video_anomaly_refiner.decoder.1.attn.learn_scale': (8, 1, 1),
}


def public_tensors():
    """As for VadCLIP; norms of the refiner are around 1, and CLIP is stored twice, as in the authors' files."""
    tensors = vadclip.public_tensors(SHAPES)
    for name in tensors:
        if 'refiner' in name and ('.norm' in name or 'learn_scale' in name) and not name.endswith('bias'):
            tensors[name] = tensors[name] + 1.0
    again = {f'clip_adapter.{name}': t for name, t in tensors.items() if name.startswith('clipmodel.')}
    return tensors | again


def features(lengths):
    """See :func:`public_vadclip.features`."""
    return vadclip.features(lengths, WIDTH)


MULTI_HOT = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
