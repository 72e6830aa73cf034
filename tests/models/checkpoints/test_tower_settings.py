"""OpenCLIP's released models, by tensor shapes, and the sources of their heads and activation."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from vadlab.models.backbones.clip_text_transformer import CLIPTextTransformer
from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.models.checkpoints import clip_loading
from vadlab.models.checkpoints.clip_loading import init_from_clip, load_clip_checkpoint
from vadlab.models.checkpoints.renaming import from_openai
from vadlab.models.checkpoints.tower_settings import tower_settings
from vadlab.models.detectors.clip import CLIP
from vadlab.utils.errors import CheckpointError

# Name: vision width, layers, channels per head, hidden width, patch, image; text width, layers, heads; embedding.
RELEASED = {
    'ViT-B-32': ((768, 12, 64, 3072, 32, 224), (512, 12, 8), 512),
    'ViT-B-16': ((768, 12, 64, 3072, 16, 224), (512, 12, 8), 512),
    'ViT-B-16-plus-240': ((896, 12, 64, 3584, 16, 240), (640, 12, 10), 640),
    'ViT-L-14': ((1024, 24, 64, 4096, 14, 224), (768, 12, 12), 768),
    'ViT-L-14-336': ((1024, 24, 64, 4096, 14, 336), (768, 12, 12), 768),
    'ViT-H-14': ((1280, 32, 80, 5120, 14, 224), (1024, 24, 16), 1024),
    'ViT-g-14': ((1408, 40, 88, 6144, 14, 224), (1024, 24, 16), 1024),
    'ViT-bigG-14': ((1664, 48, 104, 8192, 14, 224), (1280, 32, 20), 1280),
}


def _blocks(prefix, width, layers, hidden):
    for i in range(layers):
        stem = f'{prefix}.resblocks.{i}'
        sizes = {
            'attn.in_proj_weight': (3 * width, width),
            'attn.in_proj_bias': (3 * width,),
            'attn.out_proj.weight': (width, width),
            'attn.out_proj.bias': (width,),
            'mlp.c_fc.weight': (hidden, width),
            'mlp.c_fc.bias': (hidden,),
            'mlp.c_proj.weight': (width, hidden),
            'mlp.c_proj.bias': (width,),
            **{f'ln_{n}.{kind}': (width,) for n in (1, 2) for kind in ('weight', 'bias')},
        }
        yield from ((f'{stem}.{name}', size) for name, size in sizes.items())


def _shapes(vision, text, embed, vocabulary=49408):
    width, layers, _, hidden, patch, image = vision
    sizes = {
        'visual.conv1.weight': (width, 3, patch, patch),
        'visual.class_embedding': (width,),
        'visual.positional_embedding': (1 + (image // patch) ** 2, width),
        'visual.proj': (width, embed),
        'token_embedding.weight': (vocabulary, text[0]),
        'positional_embedding': (77, text[0]),
        'text_projection': (text[0], embed),
        'logit_scale': (),
        **{f'visual.{norm}.{kind}': (width,) for norm in ('ln_pre', 'ln_post') for kind in ('weight', 'bias')},
        **{f'ln_final.{kind}': (text[0],) for kind in ('weight', 'bias')},
    }
    return (
        sizes
        | dict(_blocks('visual.transformer', width, layers, hidden))
        | dict(_blocks('transformer', *text[:2], 4 * text[0]))
    )


def _config(vision, text, embed, quick_gelu=False):
    width, layers, per_head, hidden, patch, image = vision
    settings = dict(width=width, layers=layers, patch_size=patch, image_size=image)
    if per_head != 64:
        settings |= dict(head_width=per_head, mlp_ratio=hidden / width)
    config = dict(
        embed_dim=embed,
        vision_cfg=settings,
        text_cfg=dict(width=text[0], layers=text[1], heads=text[2], context_length=77, vocab_size=49408),
    )
    return config | ({'quick_gelu': True} if quick_gelu else {})


@pytest.mark.parametrize('quick_gelu', [False, True])
@pytest.mark.parametrize('name', RELEASED)
def test_released_layouts_are_read_with_their_heads(name, quick_gelu):
    layout = RELEASED[name]
    config = _config(*layout, quick_gelu)
    with torch.device('meta'):
        state = {key: torch.empty(size) for key, size in _shapes(*layout).items()}
        weights = from_openai(state, name, tower_settings({'model_cfg': config}, name))
        vision, text = CLIPVisionTransformer(**weights.arch['vision']), CLIPTextTransformer(**weights.arch['text'])
    (width, layers, per_head, hidden, _, image), (_, text_layers, heads), embed = layout
    assert (vision.width, len(vision.blocks), width // vision.heads) == (width, layers, per_head)
    assert (vision.blocks[0].fc1.out_features, vision.image_size) == (
        hidden,
        image // 14 * 14 if '14' in name else image,
    )
    assert (len(text.blocks), text.heads, weights.arch['embed_dim']) == (text_layers, heads, embed)
    assert {vision.hidden_act, text.hidden_act} == {'quick_gelu' if quick_gelu else 'gelu'}
    for tower, own in ((vision, weights.vision), (text, weights.text)):
        assert {k: v.shape for k, v in tower.state_dict().items()} == {k: v.shape for k, v in own.items()}


def test_settings_equal_those_of_open_clip_for_the_same_names():
    spec = importlib.util.find_spec('open_clip')
    if spec is None or spec.origin is None:
        pytest.skip('open_clip is not installed')
    for name, layout in RELEASED.items():
        shipped = json.loads((Path(spec.origin).parent / 'model_configs' / f'{name}.json').read_text())
        assert tower_settings(shipped, name) == tower_settings(_config(*layout), name)


def _openai_names(clip):
    """State dict of transformers' CLIPModel with OpenAI's names."""
    old, new = clip.state_dict(), {}
    for source, target in (('vision_model', 'visual.transformer'), ('text_model', 'transformer')):
        for i in range(len(getattr(clip, source).encoder.layers)):
            a, b = f'{source}.encoder.layers.{i}.', f'{target}.resblocks.{i}.'
            for kind in ('weight', 'bias'):
                new[f'{b}attn.in_proj_{kind}'] = torch.cat([old[f'{a}self_attn.{x}_proj.{kind}'] for x in 'qkv'])
                for x, y in (
                    ('self_attn.out_proj', 'attn.out_proj'),
                    ('layer_norm1', 'ln_1'),
                    ('layer_norm2', 'ln_2'),
                    ('mlp.fc1', 'mlp.c_fc'),
                    ('mlp.fc2', 'mlp.c_proj'),
                ):
                    new[f'{b}{y}.{kind}'] = old[f'{a}{x}.{kind}']
    for source, target in (
        ('vision_model.embeddings.patch_embedding.weight', 'visual.conv1.weight'),
        ('vision_model.embeddings.class_embedding', 'visual.class_embedding'),
        ('vision_model.embeddings.position_embedding.weight', 'visual.positional_embedding'),
        ('text_model.embeddings.token_embedding.weight', 'token_embedding.weight'),
        ('text_model.embeddings.position_embedding.weight', 'positional_embedding'),
        ('logit_scale', 'logit_scale'),
    ):
        new[target] = old[source]
    for source, target in (
        ('vision_model.pre_layrnorm', 'visual.ln_pre'),
        ('vision_model.post_layernorm', 'visual.ln_post'),
        ('text_model.final_layer_norm', 'ln_final'),
    ):
        new |= {f'{target}.{kind}': old[f'{source}.{kind}'] for kind in ('weight', 'bias')}
    new['visual.proj'] = old['visual_projection.weight'].T.contiguous()
    new['text_projection'] = old['text_projection.weight'].T.contiguous()
    return new


@pytest.fixture
def bare(tmp_path, make_transformers_clip):
    """A GELU model with four heads of 6 channels; OpenAI's names determine neither."""
    clip = make_transformers_clip(text=dict(hidden_act='gelu'), vision=dict(hidden_act='gelu'))
    torch.save(_openai_names(clip), tmp_path / 'bare.pt')
    return tmp_path / 'bare.pt', clip


def _build(arch, **both):
    arch = {tower: arch[tower] | both for tower in ('vision', 'text')} | dict(embed_dim=arch['embed_dim'])
    return CLIP(
        vision=dict(type='CLIPVisionTransformer', **arch['vision']),
        text=dict(type='CLIPTextTransformer', **arch['text']),
        embed_dim=arch['embed_dim'],
    ).eval()


def test_unknown_settings_of_a_bare_file_are_none(bare):
    arch = load_clip_checkpoint(bare[0]).arch
    assert [arch[tower][key] for tower in ('vision', 'text') for key in ('heads', 'hidden_act')] == [None] * 4


@pytest.mark.parametrize('kind', ['open_clip_config.json', 'config.json'])
def test_settings_come_from_the_json_beside_the_file_and_features_are_right(bare, frames, kind):
    path, clip = bare
    if kind == 'config.json':
        (path.parent / kind).write_text(json.dumps(clip.config.to_dict()))
    else:
        v, t = clip.config.vision_config, clip.config.text_config
        vision = dict(
            width=v.hidden_size, layers=v.num_hidden_layers, head_width=v.hidden_size // v.num_attention_heads
        )
        text = dict(width=t.hidden_size, layers=t.num_hidden_layers, heads=t.num_attention_heads)
        (path.parent / kind).write_text(json.dumps({'model_cfg': dict(vision_cfg=vision, text_cfg=text)}))
    weights = load_clip_checkpoint(path)
    model = _build(weights.arch)
    init_from_clip(model, path)
    assert model.vision.hidden_act == 'gelu'
    with torch.no_grad():
        want = clip.visual_projection(clip.vision_model(frames).pooler_output)
        torch.testing.assert_close(model.visual_projection(model.vision(frames)[0]), want, rtol=1e-4, atol=1e-4)


def test_the_model_config_is_used_if_no_file_has_the_settings(bare, frames, log):
    path, _ = bare
    model = _build(load_clip_checkpoint(path).arch, heads=2, hidden_act='gelu')
    init_from_clip(model, path)
    assert model.vision.heads == 2
    assert 'does not specify vision.heads=2, vision.hidden_act=gelu, text.heads=2' in log.text


def test_a_json_of_another_model_is_rejected(bare):
    path, _ = bare
    (path.parent / 'config.json').write_text('{"vision_config": {}, "text_config": {}}')  # that is ViT-B/32
    with pytest.raises(CheckpointError, match=r'its config is of another model: vision width is 768 there, 24 in the'):
        load_clip_checkpoint(path)
    (path.parent / 'config.json').write_text('{"name": "no CLIP"}')
    assert load_clip_checkpoint(path).arch['vision']['heads'] is None


def test_a_folder_of_open_clip_is_read(bare):
    path, clip = bare
    path.rename(path.parent / 'open_clip_pytorch_model.bin')
    v, t = clip.config.vision_config, clip.config.text_config
    vision = dict(width=v.hidden_size, layers=v.num_hidden_layers, head_width=6)
    text = dict(width=t.hidden_size, layers=t.num_hidden_layers, heads=2)
    config = {'model_cfg': dict(vision_cfg=vision, text_cfg=text, quick_gelu=True)}
    (path.parent / 'open_clip_config.json').write_text(json.dumps(config))
    arch = load_clip_checkpoint(path.parent).arch
    assert (arch['vision']['heads'], arch['text']['heads'], arch['text']['hidden_act']) == (4, 2, 'quick_gelu')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('visual.layer1.0.conv1.weight', 'a CLIP with a ResNet'),
        ('visual.trunk.attn_pool.latent', 'a SigLIP, whose image tower'),
        ('visual.trunk.stages.0.weight', 'an OpenCLIP model with an image tower of timm'),
        ('vision_model.head.probe', 'a SigLIP, whose image tower'),
        ('visual.cls_token', 'an EVA-CLIP'),
        ('text_decoder.resblocks.0.ln_1.weight', 'a CoCa'),
        ('text.transformer.embeddings.word_embeddings.weight', 'a CLIP with a text tower of Hugging Face'),
        ('visual.transformer.resblocks.0.ls_1.gamma', 'a CLIP with layer scale'),
        ('logit_bias', 'a SigLIP: its logits have a bias'),
    ],
)
def test_other_kinds_of_clip_are_rejected_by_name(bare, name, message):
    path, _ = bare
    torch.save(torch.load(path) | {name: torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=rf'bare\.pt is {message}'):
        load_clip_checkpoint(path)


def test_a_clipa_is_rejected_by_name(bare):
    path, _ = bare
    torch.save({k: v for k, v in torch.load(path).items() if 'ln_pre' not in k}, path)
    with pytest.raises(CheckpointError, match=r'bare\.pt is a CLIPA: it has no norm before its blocks'):
        load_clip_checkpoint(path)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'vision_cfg': {'no_ln_pre': True}}, 'vision_cfg.no_ln_pre=True is a setting'),
        ({'vision_cfg': {'pool_type': 'avg'}}, "vision_cfg.pool_type='avg'"),
        ({'vision_cfg': {'timm_model_name': 'x'}}, "vision_cfg.timm_model_name='x'"),
        ({'vision_cfg': {}, 'text_cfg': {'hf_model_name': 'x'}}, "text_cfg.hf_model_name='x'"),
        ({'vision_cfg': {}, 'text_cfg': {'pool_type': 'eos'}}, "text_cfg.pool_type='eos'"),
        ({'vision_cfg': {}, 'text_cfg': {'norm_kwargs': {'eps': 1e-6}}}, 'text_cfg.norm_kwargs='),
        ({'vision_cfg': {'head_width': 7}}, 'vision_cfg.head_width=7 does not divide width=768'),
        ({'vision_cfg': {'head_width': 'x'}}, "vision_cfg.head_width='x' does not divide"),
        ({'vision_cfg': 3}, 'vision_cfg is a int, not an object'),
        ({'vision_config': [1]}, 'vision_config is a list, not an object'),
        ({'model_type': 'siglip', 'vision_config': {}}, 'siglip is not a CLIP'),
        ({'vision_config': {'layer_norm_eps': 1e-6}}, 'layer_norm_eps=1e-06'),
    ],
)
def test_unsupported_settings_are_named(config, message):
    with pytest.raises(CheckpointError, match=rf'x\.json: {message}'):
        tower_settings(config, 'x.json')


@pytest.mark.parametrize(
    ('part', 'message'),
    [
        ({'num_attention_heads': 5}, '5 heads do not divide the vision width of 24'),
        ({'num_attention_heads': 'x'}, "'x' heads do not divide"),
        ({'num_attention_heads': 0}, '0 heads do not divide'),
        ({'hidden_act': 'gelu_pytorch_tanh'}, "hidden_act='gelu_pytorch_tanh' of its vision tower is not one of"),
        ({'hidden_act': ['gelu']}, 'is not one of'),
    ],
)
def test_impossible_settings_are_named(bare, part, message):
    path, clip = bare
    config = clip.config.to_dict()
    config['vision_config'] |= part
    (path.parent / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_clip_checkpoint(path)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('visual.proj', torch.zeros(2, 2, 2), 'it lacks 1 tensors: visual.proj'),
        ('visual.class_embedding', torch.tensor(1.0), 'its tensors have other shapes'),
        ('token_embedding.weight', torch.zeros(3), 'its tensors have other shapes'),
        ('visual.conv1.weight', torch.tensor(1.0), 'its tensors have other shapes'),
        ('visual.transformer.resblocks.0.mlp.c_fc.weight', torch.zeros(3), 'tensors'),
        ('ln_final.weight', torch.full((16,), float('nan')), r'NaN or infinite: text\.final_norm\.weight'),
        ('ln_final.weight', torch.ones(16, dtype=torch.int8), r'as weights: text\.final_norm\.weight is int8'),
    ],
)
def test_tensors_that_are_not_a_clip_give_one_error(bare, name, value, message):
    path, _ = bare
    torch.save(torch.load(path) | {name: value}, path)
    with pytest.raises(CheckpointError, match=message):
        load_clip_checkpoint(path)


def test_every_file_set_of_the_hub_can_be_read_from_a_folder():
    for config, weights in clip_loading._FILE_SETS:
        assert config in clip_loading.CONFIG_FILES
        assert weights in (*clip_loading.WEIGHT_FILES, *clip_loading._OPEN_CLIP_FILES)
