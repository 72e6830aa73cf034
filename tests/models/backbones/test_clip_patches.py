"""Captioning's additions to CLIP's vision tower: adapters, prompts, aligned patches, frozen weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.models.checkpoints.clip_loading import init_vision_from_clip
from vadlab.utils.errors import ConfigError, DataError

ADAPTERS = dict(first=1, last=2)
PROMPTS = dict(num_tokens=5, dropout=0.5)


def tower(**options):
    torch.manual_seed(0)
    return CLIPVisionTransformer(**(dict(image_size=24, patch_size=8, width=16, layers=3, heads=4) | options))


def images(n=4):
    return torch.randn(n, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def close(a, b, tolerance=1e-6):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def heads_of(x, heads=4):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def plain(model, frames, use_adapters=True):
    """Plain reference of the forward pass."""
    patches = model.patch_embedding(frames).flatten(2).transpose(1, 2)
    x = torch.cat([model.class_embedding.expand(len(frames), 1, -1), patches], 1) + model.positional_embedding
    x = model.pre_norm(x)
    for number, block in enumerate(model.blocks):
        if model.prompts is not None:
            prompts = model.prompts.project(model.prompts.tokens[number]).expand(len(frames), -1, -1)
            x = torch.cat([x[:, :1], prompts, x[:, -9:]], 1)  # between CLS and patches: their position does not matter
        before = x
        q, k, v = (heads_of(part) for part in block.qkv(block.norm1(x)).chunk(3, -1))
        mixed = ((q @ k.transpose(2, 3) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)
        mixed = block.out(mixed)
        if use_adapters and str(number) in model.adapters:
            adapter = model.adapters[str(number)]
            mixed = mixed + adapter.up(F.gelu(adapter.down(mixed)))
        x = x + mixed
        x = x + block.fc2(block.act(block.fc1(block.norm2(x))))
    q, k, v = q[:, :, -9:], k[:, :, -9:], v[:, :, -9:]
    weights = (q @ q.transpose(2, 3) / 2).softmax(-1) + (k @ k.transpose(2, 3) / 2).softmax(-1)
    aligned = before[:, -9:] + block.out((weights @ v).transpose(1, 2).flatten(2))
    aligned = aligned + block.fc2(block.act(block.fc1(block.norm2(aligned))))
    end = [x[:, 0], x[:, -9:], aligned]
    if model.prompts is not None:
        end = [model.prompts.norm(part) for part in end]
    return [model.post_norm(part) for part in end]


def shake(model):
    """Random weights for adapters and the norm of prompts, so that they have an effect."""
    for name, parameter in model.named_parameters():
        if 'adapters' in name or 'prompts.norm' in name:
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize('options', [{}, {'adapters': ADAPTERS}, {'adapters': ADAPTERS, 'prompts': PROMPTS}])
def test_patches_and_correlative_attention_equal_a_few_line_computation(options):
    model = shake(tower(**options))
    for ours, theirs in zip(model.forward_patches(images()), plain(model, images()), strict=True):
        close(ours, theirs, 1e-5)


def test_zero_initialised_adapters_leave_the_features_untouched():
    without, with_them = tower(), tower(adapters=ADAPTERS)
    for a, b in zip(without.forward_patches(images()), with_them.forward_patches(images()), strict=True):
        close(a, b)
    mask = torch.tensor([True, False, True, False])
    for a, b in zip(without(images(), mask), with_them(images(), mask), strict=True):
        close(a, b)


def test_cls_of_patches_equals_that_of_the_frame_path_also_with_prompts_and_adapters():
    for options in ({}, {'adapters': ADAPTERS, 'prompts': PROMPTS}):
        model = shake(tower(**options))
        close(model.forward_patches(images()).cls, model(images())[0], 1e-5)


def test_ordinary_patches_are_an_option():
    model = tower(aligned='ordinary')
    seen = model.forward_patches(images())
    close(seen.aligned, seen.patches, 0)
    assert not torch.allclose(tower().forward_patches(images()).aligned, seen.aligned, atol=1e-3)


def test_features_equal_transformers_clip_loaded_into_a_tower_with_adapters(tmp_path):
    transformers = pytest.importorskip('transformers')
    vision = dict(
        hidden_size=16, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=24, patch_size=8
    )
    text = dict(hidden_size=16, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    torch.manual_seed(3)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    clip = transformers.CLIPModel.from_pretrained(tmp_path).double().eval()

    model = nn.Module()
    model.vision = tower(adapters=ADAPTERS, frozen=True)
    init_vision_from_clip(model, tmp_path)
    seen = model.vision.double().forward_patches(images().double())
    hidden = clip.vision_model(pixel_values=images().double()).last_hidden_state
    wanted = clip.vision_model.post_layernorm(hidden)
    close(seen.patches, wanted[:, 1:])
    close(seen.cls, wanted[:, 0])


@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_reach_only_adapters_and_prompts(with_cp):
    model = tower(adapters=ADAPTERS, prompts=PROMPTS, frozen=True, with_cp=with_cp)
    sum(part.square().sum() for part in model.forward_patches(images())).backward()
    for name, parameter in model.named_parameters():
        learns = name.startswith(('adapters', 'prompts'))
        assert parameter.requires_grad == learns, name
        assert (parameter.grad is not None) == learns, name


def test_checkpointing_changes_neither_values_nor_gradients_with_prompt_dropout():
    grads = []
    for with_cp in (False, True):
        model = tower(adapters=ADAPTERS, prompts=PROMPTS, with_cp=with_cp)
        torch.manual_seed(5)
        sum(part.square().sum() for part in model.forward_patches(images())).backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
    for name, grad in grads[0].items():
        close(grads[1][name], grad, 1e-5)


def test_no_graph_below_the_first_adapter():
    model = tower(adapters=dict(first=2, last=2), frozen=True)
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, args, __: seen.append(args[0].requires_grad))
    model.forward_patches(images())
    assert seen == [False, False]  # the last block is called through another method


@pytest.mark.parametrize('adapters', [None, dict(first=1, last=2), dict(first=2, last=2)])
def test_forward_from_stored_patches_equals_the_full_forward(adapters):
    model = shake(tower(adapters=adapters, frozen=True))
    assert model.first_trained_block == (2 if adapters is None else adapters['first'])
    stored = model.embed_frozen(images())
    for ours, whole in zip(model.forward_patches(stored), model.forward_patches(images()), strict=True):
        close(ours, whole, 1e-6)


def test_chunks_change_nothing():
    model = shake(tower(adapters=ADAPTERS, prompts=PROMPTS))
    with torch.no_grad():
        whole = model.forward_patches(images())
        model.chunk_size = 3
        for a, b in zip(model.forward_patches(images()), whole, strict=True):
            close(a, b, 1e-5)


def test_prompts_start_in_the_range_of_patches_and_are_in_every_block():
    model = tower(prompts=dict(num_tokens=50, dropout=0.0))
    reach = (6 / (3 * 8 * 8 + 16)) ** 0.5
    assert model.prompts.tokens.shape == (3, 50, 16)
    assert 0.95 * reach < model.prompts.tokens.abs().max() <= reach
    lengths = []
    for block in model.blocks:
        block.norm1.register_forward_hook(lambda _, args, __: lengths.append(args[0].shape[1]))
    seen = model.forward_patches(images())
    assert lengths == [60, 60, 60]
    assert seen.patches.shape == seen.aligned.shape == (4, 9, 16)


def test_adapters_are_in_the_upper_half_by_default():
    assert list(tower(layers=12, adapters={}).adapters) == ['6', '7', '8', '9', '10', '11']
    adapter = tower(adapters=dict(first=0, last=0, ratio=0.5)).adapters['0']
    assert adapter.down.weight.shape == (8, 16)
    assert not adapter.up.weight.any()


def test_invalid_options_are_rejected():
    with pytest.raises(ConfigError, match='adapters from block 1 to 3, but blocks are 0 to 2'):
        tower(adapters=dict(first=1, last=3))
    with pytest.raises(ConfigError, match="BottleneckAdapter takes no option 'ration'.*ratio"):
        tower(adapters=dict(ration=0.5))
    with pytest.raises(ConfigError, match="DeepPrompts takes no option 'tokens'"):
        tower(prompts=dict(tokens=5))
    with pytest.raises(ConfigError, match='adapters is a dict of options or None, not True'):
        tower(adapters=True)
    with pytest.raises(ConfigError, match='leaves none'):
        tower(adapters=dict(first=0, last=0, ratio=0.001))
    with pytest.raises(ConfigError, match='num_tokens must be >= 1, not 0'):
        tower(prompts=dict(num_tokens=0))
    with pytest.raises(ConfigError, match='aligned='):
        tower(aligned='sclip')
    with pytest.raises(ConfigError, match='prompts learn'):
        tower(prompts=PROMPTS, frozen=True).embed_frozen(images())
    with pytest.raises(ConfigError, match='its first block learns'):
        tower().embed_frozen(images())
    with pytest.raises(DataError, match='another backbone or image_size'):
        tower(frozen=True).forward_patches(torch.zeros(2, 5, 16))
