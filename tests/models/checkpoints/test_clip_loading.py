import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence

from vadlab.models.checkpoints import clip_loading
from vadlab.models.checkpoints.clip_loading import init_from_clip, load_clip_checkpoint, resize_positions
from vadlab.models.detectors.clip import CLIP
from vadlab.utils.errors import CheckpointError, MissingFileError


def _build(arch, long=None, **vision):
    return CLIP(
        vision=dict(type='CLIPVisionTransformer', **(arch['vision'] | vision)),
        text=dict(type='CLIPTextTransformer', **(arch['text'] | dict(long_context_length=long))),
        embed_dim=arch['embed_dim'],
    ).eval()


def _load(path, **options):
    weights = load_clip_checkpoint(path)
    model = _build(weights.arch, **options)
    init_from_clip(model, path)
    return model


@pytest.fixture
def folder(tmp_path, make_transformers_clip):
    make_transformers_clip().save_pretrained(tmp_path / 'clip')
    return tmp_path / 'clip'


def _assert_equals_transformers(model, clip, frames, texts, tolerance=1e-4):
    ids = pad_sequence(texts, batch_first=True)
    close = dict(rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        seen = clip.vision_model(frames, output_hidden_states=True)
        read = clip.text_model(ids).pooler_output
        cls, dense = model.vision(frames, torch.ones(len(frames), dtype=torch.bool))
        text = model.text(texts)
        torch.testing.assert_close(cls, seen.pooler_output, **close)
        torch.testing.assert_close(text, read, **close)
        torch.testing.assert_close(model.visual_projection(cls), clip.visual_projection(seen.pooler_output), **close)
        torch.testing.assert_close(model.text_projection(text), clip.text_projection(read), **close)

        # FG-CLIP's dense features by hand, from the same weights: no attention, only its two projections.
        before, last = seen.hidden_states[-2], clip.vision_model.encoder.layers[-1]
        h = before + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(before)))
        h = clip.vision_model.post_layernorm(h + last.mlp(last.layer_norm2(h)))[:, 1:]
        torch.testing.assert_close(dense.flatten(2).transpose(1, 2), h, **close)


@pytest.mark.parametrize('hidden_act', ['quick_gelu', 'gelu'])
def test_features_equal_transformers(tmp_path, make_transformers_clip, frames, texts, hidden_act):
    act = dict(hidden_act=hidden_act)
    clip = make_transformers_clip(text=act, vision=act)
    clip.save_pretrained(tmp_path)
    model = _load(tmp_path)
    assert model.vision.hidden_act == hidden_act
    _assert_equals_transformers(model, clip, frames, texts)
    assert model.logit_scale.item() == pytest.approx(clip.logit_scale.item())


@pytest.mark.slow
def test_features_of_vit_b32_equal_transformers(tmp_path):
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(0)
    clip = transformers.CLIPModel(transformers.CLIPConfig()).eval()
    clip.save_pretrained(tmp_path)
    texts = [torch.tensor(t) for t in ([49406, 320, 786, 49407], [49406, *range(300, 360), 49407])]
    _assert_equals_transformers(_load(tmp_path), clip, torch.randn(3, 3, 224, 224), texts)


def test_sharded_and_bin_and_half_folders_equal_the_plain_one(tmp_path, make_transformers_clip):
    clip = make_transformers_clip()
    clip.save_pretrained(tmp_path / 'plain')
    clip.save_pretrained(tmp_path / 'sharded', max_shard_size='20KB')
    assert (tmp_path / 'sharded/model.safetensors.index.json').is_file()
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/config.json').write_bytes((tmp_path / 'plain/config.json').read_bytes())
    # Older versions of transformers also saved the position ids.
    old = clip.state_dict() | {'text_model.embeddings.position_ids': torch.arange(77)[None]}
    torch.save(old, tmp_path / 'bin/pytorch_model.bin')
    expected = load_clip_checkpoint(tmp_path / 'plain').state_dict()
    for name in ('sharded', 'bin', 'plain/model.safetensors'):
        state = load_clip_checkpoint(tmp_path / name).state_dict()
        assert state.keys() == expected.keys()
        for key, tensor in state.items():
            torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)
    clip.half().save_pretrained(tmp_path / 'half')
    for key, tensor in load_clip_checkpoint(tmp_path / 'half').state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[key].half().float(), rtol=0, atol=0)


def _save_openai(clip, path, kind, frames, texts):
    if kind == 'state_dict':
        # As some mirrors store it, with OpenAI's constants.
        torch.save(clip.state_dict(), path)
        return
    clip = clip.half() if kind == 'half archive' else clip
    if kind == 'half archive':
        frames = frames.half()
    torch.jit.trace(clip, (frames, pad_sequence(texts, batch_first=True)), check_trace=False).save(str(path))


@pytest.mark.filterwarnings('ignore:.*torch.jit.*:DeprecationWarning', 'ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('kind', ['archive', 'half archive', 'state_dict'])
def test_openai_features_equal_torch_attention(tmp_path, openai_clip, frames, texts, kind):
    path = tmp_path / 'ViT.pt'
    _save_openai(openai_clip, path, kind, frames, texts)
    clip = openai_clip.float()
    model = _load(path)
    assert (model.vision.heads, model.text.heads) == (2, 1)
    with torch.no_grad():
        image, text = clip(frames, pad_sequence(texts, batch_first=True))
        torch.testing.assert_close(model.visual_projection(model.vision(frames)[0]), image, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.text_projection(model.text(texts)), text, rtol=1e-4, atol=1e-4)
    assert model.logit_scale.item() == pytest.approx(3.5)
    dense_model = model.vision(frames, torch.tensor([True, False, False, True]))[1]
    v = clip.visual
    with torch.no_grad():
        x = torch.cat([v.class_embedding.expand(4, 1, -1), v.conv1(frames).flatten(2).transpose(1, 2)], 1)
        x = v.transformer.resblocks[0](v.ln_pre(x + v.positional_embedding))
        last = v.transformer.resblocks[1]
        value = last.ln_1(x) @ last.attn.in_proj_weight[256:].T + last.attn.in_proj_bias[256:]
        x = x + last.attn.out_proj(value)
        hidden = last.mlp.c_fc(last.ln_2(x))
        dense = v.ln_post(x + last.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden)))[:, 1:]
    torch.testing.assert_close(dense_model.flatten(2).transpose(1, 2), dense[[0, 3]], rtol=1e-4, atol=1e-4)


def test_fgclip_names(tmp_path, folder):
    state = load_file(folder / 'model.safetensors')
    torch.manual_seed(0)
    ori, res = torch.randn(248, 16), torch.randn(248, 16)
    filip = torch.randn(12, 16)
    stem = 'text_model.embeddings'
    state |= {
        f'{stem}.position_embedding_ori.weight': ori,
        f'{stem}.position_embedding_res.weight': res,
        f'{stem}.mask1': torch.ones(248, 1),
        'text_filip_projection.weight': filip,
        'logit_scale_finegraind': torch.tensor(4.0),
        'logit_scale_hardneg': torch.tensor(3.0),
    }
    save_file(state, folder / 'model.safetensors')
    weights = load_clip_checkpoint(folder)
    long = weights.text['positional_embedding_long']
    torch.testing.assert_close(long, torch.cat([ori[:20], res[20:]]), rtol=0, atol=0)
    torch.testing.assert_close(weights.extras['text_filip_projection.weight'], filip, rtol=0, atol=0)
    assert weights.extras['logit_scale_finegrained'].item() == 4.0
    assert weights.extras['logit_scale_hardneg'].item() == 3.0
    assert weights.arch['text']['long_context_length'] == 248
    model = _load(folder, long=248)
    torch.testing.assert_close(model.text.positional_embedding_long.data, long, rtol=0, atol=0)


def test_missing_tensors_are_initialised_and_logged(folder, log):
    weights = load_clip_checkpoint(folder)
    model = _build(weights.arch, long=248)
    model.roi_projection = torch.nn.Linear(24, 12, bias=False)
    model.text_filip_projection = torch.nn.Linear(16, 12, bias=False)
    model.logit_scale_finegrained = torch.nn.Parameter(torch.tensor(0.0))
    init_from_clip(model, folder)
    torch.testing.assert_close(model.roi_projection.weight, model.visual_projection.weight, rtol=0, atol=0)
    torch.testing.assert_close(model.text_filip_projection.weight, model.text_projection.weight, rtol=0, atol=0)
    torch.testing.assert_close(model.text.positional_embedding_long[20], weights.text['positional_embedding'][20])
    assert model.logit_scale_finegrained.item() == pytest.approx(2.6592)
    assert 'roi_projection is not in the file and starts from visual_projection' in log.text
    assert 'long position table of 248 rows stretched from the 77' in log.text
    assert 'logit_scale_finegrained = 2.6592 (x14.3)' in log.text


def test_another_image_size_interpolates_positions_with_a_log_entry(folder, log):
    weights = load_clip_checkpoint(folder)
    model = _build(weights.arch, image_size=40)
    init_from_clip(model, folder)
    assert model.vision(torch.zeros(1, 3, 40, 40))[0].shape == (1, 24)
    assert 'vision positions interpolated from image_size=24 to 40' in log.text
    table = weights.vision['positional_embedding']
    torch.testing.assert_close(model.vision.positional_embedding[0].data, table[0], rtol=0, atol=0)


def test_interpolation_is_exact_for_a_ramp_and_for_the_same_grid():
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')
    table = torch.cat([torch.tensor([[9.0, 9.0]]), torch.stack([rows, columns], -1).flatten(0, 1)])
    torch.testing.assert_close(resize_positions(table, 4), table)
    double = resize_positions(table, 8)[1:].unflatten(0, (8, 8))
    # Pixel centres: row i of 8 lies at (i + 0.5) / 2 - 0.5 of 4; bicubic is exact on a ramp away from the border.
    torch.testing.assert_close(double[3:5, 4, 0], torch.tensor([1.25, 1.75]))
    torch.testing.assert_close(double[4, 3:5, 1], torch.tensor([1.25, 1.75]))


def test_exported_file_and_training_checkpoint(tmp_path, folder):
    weights = load_clip_checkpoint(folder)
    model = _load(folder, long=248)
    state = model.state_dict()
    save_file(state, tmp_path / 'own.safetensors', metadata={'arch': json.dumps(weights.arch)})
    config = f'a = 1\nmodel = dict(type="CLIP", vision=dict({_kwargs(weights.arch["vision"])}), embed_dim=12)\n'
    training = {
        'meta': {'cfg': config},
        'state_dict': {f'module.{k}': v for k, v in state.items()} | {'module.queue.keys': torch.zeros(3)},
        'optimizer': {'state': {}},
    }
    torch.save(training, tmp_path / 'epoch_1.pth')
    for name, heads in (('own.safetensors', (4, 2)), ('epoch_1.pth', (4, None))):
        read = load_clip_checkpoint(tmp_path / name)
        assert read.state_dict().keys() == state.keys()
        for key, tensor in read.state_dict().items():
            torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)
        assert (read.arch['vision']['heads'], read.arch['text']['heads']) == heads
        assert read.arch['text']['long_context_length'] == 248
        other = _build(weights.arch, long=248)
        init_from_clip(other, tmp_path / name)
        torch.testing.assert_close(other.state_dict(), state, rtol=0, atol=0)


def _kwargs(settings):
    return ', '.join(f'{k}={v!r}' for k, v in settings.items())


def test_config_in_a_checkpoint_is_never_executed(tmp_path, folder):
    state = _load(folder).state_dict()
    witness = tmp_path / 'ran'
    config = f'model = dict(vision=open({str(witness)!r}, "w"))'
    torch.save({'meta': {'cfg': config}, 'state_dict': state}, tmp_path / 'bad.pth')
    assert load_clip_checkpoint(tmp_path / 'bad.pth').arch['vision']['heads'] is None
    assert not witness.exists()


def test_another_model_is_rejected_with_all_differences(folder):
    arch = load_clip_checkpoint(folder).arch
    arch['vision'] |= dict(heads=6, layers=4)
    arch['text'] |= dict(vocab_size=101)
    arch['embed_dim'] = 13
    message = (
        r'is another model: vision.layers is 3 in the file, 4 in the config; vision.heads is 4 in the file, 6 .*'
        r'text.vocab_size is 100 in the file, 101 .*embed_dim is 12 in the file, 13'
    )
    with pytest.raises(CheckpointError, match=message):
        init_from_clip(_build(arch), folder)


def test_missing_and_unknown_tensors_are_named(folder):
    path = folder / 'model.safetensors'
    state = load_file(path)
    state['vision_model.adapter.weight'] = torch.zeros(2)
    del state['text_model.final_layer_norm.bias']
    save_file(state, path)
    message = r'lacks 1 tensors: text_model.final_layer_norm.bias; it has unknown 1 tensors: vision_model.adapter'
    with pytest.raises(CheckpointError, match=message):
        load_clip_checkpoint(folder)


@pytest.mark.parametrize(
    ('name', 'dim', 'message'),
    [
        ('vision_model.embeddings.patch_embedding.weight', 1, 'its patch embedding has the shape'),
        ('vision_model.embeddings.patch_embedding.weight', 2, 'its patch embedding has the shape'),
        ('visual_projection.weight', 1, 'its projection of frames has the shape'),
        ('visual_projection.weight', 0, 'its projection of texts has the shape'),
    ],
)
def test_tensors_of_other_shapes_are_named(folder, name, dim, message):
    path = folder / 'model.safetensors'
    state = load_file(path)
    state[name] = torch.cat([state[name], state[name].narrow(dim, 0, 1)], dim)
    save_file(state, path)
    with pytest.raises(CheckpointError, match=message):
        load_clip_checkpoint(folder)


def test_a_missing_tensor_of_our_layout_is_named(tmp_path, folder):
    state = _load(folder).state_dict()
    arch = load_clip_checkpoint(folder).arch
    del state['vision.blocks.1.out.bias']
    save_file(state, tmp_path / 'gap.safetensors')
    with pytest.raises(CheckpointError, match=r'gap.safetensors does not fit the vision tower: .*blocks.1.out.bias'):
        init_from_clip(_build(arch), tmp_path / 'gap.safetensors')
    del state['text_projection.weight']
    save_file(state, tmp_path / 'gap.safetensors')
    with pytest.raises(CheckpointError, match=r'lacks text_projection.weight'):
        load_clip_checkpoint(tmp_path / 'gap.safetensors')


def test_files_that_are_not_a_clip_are_rejected(tmp_path, folder):
    save_file({'conv.weight': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(CheckpointError, match='is not a CLIP model: its first tensors are conv.weight'):
        load_clip_checkpoint(tmp_path / 'other.safetensors')
    torch.save({'visual.layer1.0.conv1.weight': torch.zeros(1)}, tmp_path / 'RN50.pt')
    with pytest.raises(CheckpointError, match='a CLIP with a ResNet; only vision transformers'):
        load_clip_checkpoint(tmp_path / 'RN50.pt')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(CheckpointError, match='has no config.json'):
        load_clip_checkpoint(tmp_path / 'empty')
    (tmp_path / 'empty/config.json').write_text('{}')
    with pytest.raises(CheckpointError, match='contains no weights; looked for model.safetensors'):
        load_clip_checkpoint(tmp_path / 'empty')
    (tmp_path / 'empty/config.json').write_text('{')
    with pytest.raises(CheckpointError, match=r'config.json is not valid JSON'):
        load_clip_checkpoint(tmp_path / 'empty')


def test_an_index_cannot_reach_outside_its_folder(tmp_path, folder):
    (folder / 'model.safetensors').rename(tmp_path / 'outside.safetensors')
    index = {'weight_map': {'logit_scale': '../outside.safetensors'}}
    (folder / 'model.safetensors.index.json').write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match='weight_map of plain file names'):
        load_clip_checkpoint(folder)


def test_another_layer_norm_epsilon_is_rejected(folder):
    config = json.loads((folder / 'config.json').read_text())
    config['vision_config']['layer_norm_eps'] = 1e-6
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='layer_norm_eps=1e-06'):
        load_clip_checkpoint(folder)


def test_missing_file_message_lists_accepted_inputs(tmp_path):
    with pytest.raises(MissingFileError, match=r'No CLIP weights at .*nowhere.pt.*Hugging Face folder'):
        load_clip_checkpoint(tmp_path / 'nowhere.pt')


def test_hub_id_reads_the_files_of_the_hub(monkeypatch, folder):
    asked = []

    def hub_folder(repo_id, alternatives):
        asked.append((repo_id, alternatives[0]))
        return folder

    monkeypatch.setattr(clip_loading, 'hub_folder', hub_folder)
    assert load_clip_checkpoint('someone/clip').source == 'someone/clip'
    assert asked == [('someone/clip', ('config.json', 'model.safetensors'))]


@pytest.mark.parametrize(('value', 'fits'), [(100.0, False), (-100.0, False), (4.7, True)])
def test_a_temperature_that_is_not_a_logarithm_is_refused(tmp_path, folder, value, fits):
    path = tmp_path / 'clip' / 'model.safetensors'
    state = load_file(path) | {'logit_scale': torch.tensor(value)}
    save_file(state, path)
    if fits:
        assert _load(folder).logit_scale.item() == pytest.approx(math.log(100))  # clamped, as in training
    else:
        with pytest.raises(CheckpointError, match=rf'logit_scale is {value:g}, .*CLIP stores the logarithm'):
            load_clip_checkpoint(folder)
