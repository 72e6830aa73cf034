"""A small checkpoint in the layout of DSANet's authors, with reproducible weights."""

import torch

from . import public_vadclip as vadclip
from .public_vadclip import block, mlp, pair

WIDTH, PLACES, TEXT_HEADS = 16, 16, 2
SIZES = dict(embed_dim=WIDTH, max_snippets=PLACES, window=4, layers=1, heads=1, adapted_blocks=1, adapter_weight=0.3)
SIZES |= dict(prototypes=4, normal_share=0.7, decoder_layers=2, class_temperature=5.0)
TEXT = dict(
    type='CLIPTextTransformer', width=WIDTH, layers=2, heads=TEXT_HEADS, context_length=77, long_context_length=None
)
CLASSES = ('A', 'B1', 'B6')
PROMPTS = dict(A='normal', B1='fighting', B6='car accident')


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
    **block('temporal.resblocks.0', WIDTH),
    **{f'gc{i}.weight': (WIDTH if i in (1, 3) else WIDTH // 2, WIDTH // 2) for i in (1, 2, 3, 4)},
    **pair('gc1.residual', WIDTH // 2, WIDTH, 5),
    **pair('gc3.residual', WIDTH // 2, WIDTH, 5),
    'disAdj.sigma': (1,),
    **pair('linear', WIDTH, WIDTH),
    **mlp('mlp1', WIDTH),
    **mlp('mlp2', WIDTH),
    **pair('classifier', 1, WIDTH),
    'clipmodel.positional_embedding': (77, WIDTH),
    'clipmodel.text_projection': (WIDTH, WIDTH),
    'clipmodel.logit_scale': (),
    'clipmodel.visual.class_embedding': (64,),
    'clipmodel.visual.positional_embedding': (2, 64),
    'clipmodel.visual.proj': (64, WIDTH),
    'clipmodel.visual.conv1.weight': (64, 3, 4, 4),
    **pair('clipmodel.visual.ln_pre', 64),
    **block('clipmodel.visual.transformer.resblocks.0', 64),
    **pair('clipmodel.visual.ln_post', 64),
    **block('clipmodel.transformer.resblocks.0', WIDTH),
    **block('clipmodel.transformer.resblocks.1', WIDTH),
    'clipmodel.token_embedding.weight': (49408, WIDTH),
    **pair('clipmodel.ln_final', WIDTH),
    'frame_position_embeddings.weight': (PLACES, WIDTH),
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
