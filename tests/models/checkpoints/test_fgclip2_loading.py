import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import released_fgclip1
from tests.models.released_fgclip2 import TEXT, VISION, released_config, released_tensors, write_released
from vadlab.models.checkpoints import load_clip_checkpoint
from vadlab.models.checkpoints.fgclip2_loading import read_fgclip2
from vadlab.models.detectors.fgclip2 import FGCLIP2
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError


def build(folder, **options):
    return FGCLIP2(vision=VISION, text=TEXT | options, pretrained=str(folder))


@pytest.mark.parametrize('shards', [1, 3])
def test_every_tensor_arrives_from_one_file_or_shards(tmp_path, shards):
    write_released(tmp_path, shards=shards)
    model, theirs = build(tmp_path), released_tensors()
    model.init_weights()
    own = model.state_dict()
    torch.testing.assert_close(own['text_box_projection.weight'], theirs['boxtext_head.weight'])
    torch.testing.assert_close(own['text_filip_projection.bias'], theirs['longtext_head.bias'])
    torch.testing.assert_close(own['text_projection.weight'], theirs['text_model.head.weight'])
    long = own['text.positional_embedding_long']
    stem = 'text_model.embeddings.position_embedding'
    torch.testing.assert_close(long[:20], theirs[f'{stem}_ori.weight'][:20])
    torch.testing.assert_close(long[20:], theirs[f'{stem}_res.weight'][20:])
    patch = theirs['vision_model.embeddings.patch_embedding.weight'][3].view(16, 16, 3)
    torch.testing.assert_close(own['vision.patch_embedding.weight'][3, 1], patch[..., 1])
    scales = [own[f'logit_{name}'].item() for name in ('scale', 'bias', 'scale_finegrained', 'scale_hardneg')]
    assert scales == [3.0, -5.0, 2.5, 2.0]


def plain_siglip2():
    parts = ('dense_feature_head', 'longtext_head', 'boxtext_head', 'logit_scale_')
    tensors = {n: t for n, t in released_tensors().items() if not n.startswith(parts)}
    return {n: t for n, t in tensors.items() if not n.endswith(('_res.weight', '_ori.weight'))}


def test_parts_that_siglip2_lacks_start_from_their_counterparts(tmp_path):
    write_released(tmp_path, plain_siglip2(), released_config() | dict(model_type='siglip2'))
    model = build(tmp_path)
    model.init_weights()
    own = model.state_dict()
    for head in ('text_filip_projection', 'text_box_projection'):
        assert torch.equal(own[f'{head}.weight'], own['text_projection.weight'])
    assert torch.equal(own['vision.dense_head.mlp.fc1.weight'], own['vision.pool.mlp.fc1.weight'])
    assert torch.equal(own['text.positional_embedding_long'][20], own['text.positional_embedding'][20])
    assert own['logit_scale_hardneg'].item() == pytest.approx(4.6052, abs=1e-4)


def test_long_path_of_the_file_is_skipped_by_a_model_without_one(tmp_path):
    model = build(write_released(tmp_path), long_context_length=None)
    model.init_weights()
    assert model.text_filip_projection is None
    assert len(model.encode_texts([torch.arange(70)])) == 1


def test_missing_and_outdated_shards_are_named(tmp_path):
    write_released(tmp_path, shards=3)
    last = tmp_path / 'model-00003-of-00003.safetensors'
    tensors = load_file(last)
    name = sorted(tensors)[0]
    save_file({n: t for n, t in tensors.items() if n != name}, last)
    with pytest.raises(CheckpointError, match=rf'1 tensors that model\.safetensors\.index\.json .* \(first: {name}\)'):
        read_fgclip2(tmp_path)
    last.unlink()
    with pytest.raises(CheckpointError, match='lacks 1 of the 3 shards .*: model-00003-of-00003.safetensors. Copy'):
        read_fgclip2(tmp_path)


def test_weights_of_the_other_generation_or_of_both_are_named(tmp_path):
    first = released_fgclip1.write_released(tmp_path / 'first')
    second = write_released(tmp_path / 'second')
    with pytest.raises(
        CheckpointError, match=r'FG-CLIP 1 or another CLIP .*, but the model is FG-CLIP 2\. Take a config'
    ):
        read_fgclip2(first)
    with pytest.raises(CheckpointError, match=r'is of FG-CLIP 2, but the model is a CLIP or FG-CLIP 1\. Take a config'):
        load_clip_checkpoint(second)
    mixed = released_tensors()
    mixed['vision_model.embeddings.class_embedding'] = torch.zeros(32)
    write_released(tmp_path / 'mixed', mixed)
    with pytest.raises(CheckpointError, match='mixes weights of FG-CLIP 1 .* and FG-CLIP 2'):
        read_fgclip2(tmp_path / 'mixed')
    write_released(tmp_path / 'weights', config=released_fgclip1.released_config())
    with pytest.raises(CheckpointError, match='holds weights of FG-CLIP 2 .*, but the model is a CLIP'):
        load_clip_checkpoint(tmp_path / 'weights')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(vision=VISION | dict(layers=3)), r'another model: vision\.layers is 2 in the file, 3 in the config'),
        (dict(vision=VISION | dict(heads=2)), r'vision\.heads is 4 in the file, 2 in the config'),
        (dict(text=TEXT | dict(mlp_ratio=2.0)), r'text\.mlp_ratio is 4\.0 in the file, 2\.0 in the config'),
        (dict(text=TEXT | dict(vocab_size=400)), r'text\.vocab_size is 300 in the file, 400 in the config'),
        (dict(text=TEXT | dict(long_context_length=128)), r'long_context_length is 196 in the file, 128'),
    ],
)
def test_another_size_lists_the_differences(tmp_path, change, message):
    model = FGCLIP2(**(dict(vision=VISION, text=TEXT, pretrained=str(write_released(tmp_path))) | change))
    with pytest.raises(CheckpointError, match=message):
        model.init_weights()


def edited(change):
    config = released_config()
    change(config)
    return config


@pytest.mark.parametrize(
    ('tensors', 'config', 'message'),
    [
        (dict(more=torch.zeros(2)), None, 'unknown tensors more'),
        (None, edited(lambda c: c.pop('text_config')), 'has no text_config'),
        (None, edited(lambda c: c['vision_config'].update(hidden_act='gelu')), "hidden_act='gelu'"),
        (
            None,
            edited(lambda c: c['vision_config'].update(hidden_size=64)),
            'hidden_size is 64 there, 32 in the weights',
        ),
        (dict(logit_bias=torch.tensor([float('nan')])), None, 'NaN or infinite'),
    ],
)
def test_other_contents_are_refused(tmp_path, tensors, config, message):
    write_released(tmp_path, released_tensors() | (tensors or {}), config)
    with pytest.raises(CheckpointError, match=message):
        read_fgclip2(tmp_path)


def test_missing_tensors_are_named(tmp_path):
    tensors = released_tensors()
    del tensors['longtext_head.bias']
    with pytest.raises(CheckpointError, match=r'it lacks text_filip_projection\.bias'):
        build(write_released(tmp_path, tensors)).init_weights()


def test_files_and_folders_that_are_not_a_model(tmp_path):
    with pytest.raises(MissingFileError, match='No CLIP weights'):
        read_fgclip2(tmp_path / 'nothing' / 'here')
    with pytest.raises(CheckpointError, match=r'has no config\.json'):
        read_fgclip2(tmp_path)
    write_released(tmp_path, shards=1)
    with pytest.raises(CheckpointError, match=r'is a file; give the folder with config\.json'):
        read_fgclip2(tmp_path / 'model.safetensors')


def test_tokenizer_must_be_the_one_of_the_tower(tmp_path):
    folder = write_released(tmp_path)
    with pytest.raises(ConfigError, match=r'pads with id 0, but model\.text\.pad_id=1'):
        build(folder, pad_id=1).init_weights()
    with pytest.raises(ConfigError, match='has 300 ids, but the text tower 200: they do not belong together'):
        build(folder, vocab_size=200).init_weights()
    with pytest.raises(MissingFileError, match=r'has no tokenizer\.json'):
        build(write_released(tmp_path / 'bare', tokenizer=False)).init_weights()


def test_a_hub_id_gives_weights_and_tokenizer_from_the_local_cache(tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    repository = tmp_path / 'models--me--small'
    write_released(repository / 'snapshots' / ('a' * 40), shards=3)
    (repository / 'refs').mkdir()
    (repository / 'refs' / 'main').write_text('a' * 40)
    model = build('me/small')
    model.init_weights()
    assert model.logit_bias.item() == -5
    (repository / 'snapshots' / ('a' * 40) / 'model-00002-of-00003.safetensors').unlink()
    with pytest.raises(CheckpointError, match='neither in the cache nor could be downloaded'):
        build('me/small').init_weights()
