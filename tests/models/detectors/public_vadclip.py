"""A small checkpoint in the layout of VadCLIP's authors, with reproducible weights."""

import torch

WIDTH, PLACES, TEXT_HEADS = 8, 16, 2
SIZES = dict(embed_dim=WIDTH, max_snippets=PLACES, window=4, layers=1, heads=1, prompt_prefix=2, prompt_postfix=3)
TEXT = dict(
    type='CLIPTextTransformer', width=WIDTH, layers=1, heads=TEXT_HEADS, context_length=77, long_context_length=None
)
CLASSES = ('A', 'B1', 'B6')
PROMPTS = dict(A='normal', B1='fighting', B6='car accident')


def block(prefix, width):
    return {
        f'{prefix}.attn.in_proj_weight': (3 * width, width),
        f'{prefix}.attn.in_proj_bias': (3 * width,),
        f'{prefix}.attn.out_proj.weight': (width, width),
        f'{prefix}.attn.out_proj.bias': (width,),
        **pair(f'{prefix}.ln_1', width),
        **mlp(f'{prefix}.mlp', width),
        **pair(f'{prefix}.ln_2', width),
    }


def mlp(prefix, width):
    return {**pair(f'{prefix}.c_fc', 4 * width, width), **pair(f'{prefix}.c_proj', width, 4 * width)}


def pair(prefix, *shape):
    return {f'{prefix}.weight': shape, f'{prefix}.bias': shape[:1]}


def shapes_of(width, text_blocks):
    """Shapes of the tensors that the files of VadCLIP and DSANet have in common."""
    shapes = {
        **block('temporal.resblocks.0', width),
        **{f'gc{i}.weight': (width if i in (1, 3) else width // 2, width // 2) for i in (1, 2, 3, 4)},
        **pair('gc1.residual', width // 2, width, 5),
        **pair('gc3.residual', width // 2, width, 5),
        'disAdj.sigma': (1,),
        **pair('linear', width, width),
        **mlp('mlp1', width),
        **mlp('mlp2', width),
        **pair('classifier', 1, width),
        'clipmodel.positional_embedding': (77, width),
        'clipmodel.text_projection': (width, width),
        'clipmodel.logit_scale': (),
        'clipmodel.visual.class_embedding': (64,),
        'clipmodel.visual.positional_embedding': (2, 64),
        'clipmodel.visual.proj': (64, width),
        'clipmodel.visual.conv1.weight': (64, 3, 4, 4),
        **pair('clipmodel.visual.ln_pre', 64),
        **block('clipmodel.visual.transformer.resblocks.0', 64),
        **pair('clipmodel.visual.ln_post', 64),
        'clipmodel.token_embedding.weight': (49408, width),
        **pair('clipmodel.ln_final', width),
        'frame_position_embeddings.weight': (PLACES, width),
    }
    for i in range(text_blocks):
        shapes |= block(f'clipmodel.transformer.resblocks.{i}', width)
    return shapes


SHAPES = {**shapes_of(WIDTH, text_blocks=1), 'text_prompt_embeddings.weight': (77, WIDTH)}


def public_tensors(shapes=None):
    """Sines at scattered arguments, with the scale of random weights."""
    tensors = {}
    for i, (name, shape) in enumerate(sorted((shapes or SHAPES).items())):
        ticks = torch.arange(torch.Size(shape).numel())
        wave = torch.sin((ticks * (ticks + i) % 9973).double() * 0.61 + i).float().view(shape)
        size = (0.4 if name.startswith('classifier') else 1.2) * (wave[0].numel() if wave.dim() > 1 else 16) ** -0.5
        tensors[name] = size * wave + (1.0 if '.ln_' in name and name.endswith('weight') else 0.0)
    return tensors


def features(lengths, width=WIDTH):
    """Similar snippets, zeros past the end of each video, shape (videos, 1, longest, width)."""
    ticks = torch.arange(len(lengths) * max(lengths) * width, dtype=torch.float64)
    waves = (torch.sin(ticks * 0.73) + torch.cos(ticks**2 * 0.011)).view(len(lengths), max(lengths), width)
    feats = (1.5 * torch.sin(torch.arange(width) * 1.1 + 0.4) + waves).float()
    return (feats * (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])[..., None])[:, None]
