import logging

import pytest
import torch
from mmengine.logging import MMLogger

from vadlab.checkpoints.checkpoint_io import load_weights
from vadlab.models.backbones.simple_3d_cnn import Simple3DCNN
from vadlab.models.backbones.videomae import VideoMAE
from vadlab.models.recognizers.audio_visual_recognizer import _top1
from vadlab.utils.errors import CheckpointError, ConfigError

from .clips import AUDIO, HEADS, VIDEO, clips, recognizer, samples

VIDEOMAE = dict(type='VideoMAE', image_size=16, patch_size=8, num_frames=4, width=16, layers=1, heads=2, pooled=False)
FUSIONS = [
    dict(type='MBT', width=16, heads=2, bottlenecks=2),
    dict(type='MBT', width=16, heads=2, layers=3, fusion_layer=1, readout='mean'),
    dict(type='LateFusion', width=16),
    dict(type='LateFusion', width=16, average='probabilities'),
    dict(type='ConcatFusion', width=16),
]


@pytest.mark.parametrize('fusion', FUSIONS, ids=lambda x: '-'.join(map(str, x.values())))
@pytest.mark.parametrize('pooled', [False, True])
def test_learns_and_predicts(fusion, pooled):
    model = recognizer(
        fusion=fusion, video_encoder={**VIDEO, 'pooled': pooled}, audio_encoder={**AUDIO, 'pooled': pooled}
    )
    data = samples()
    losses = model(clips(), data, mode='loss')
    assert set(losses) == {'loss_species', 'top1_species', 'loss_behaviour', 'top1_behaviour'}
    (losses['loss_species'] + losses['loss_behaviour']).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None}
    assert idle <= {'fusion.missing.video'}  # every clip has video
    predicted = model.eval()(clips(), data, mode='predict')
    assert predicted[0].pred_scores['species'].shape == (3,)
    torch.testing.assert_close(predicted[1].pred_scores['species'].sum(), torch.tensor(1.0))


@pytest.mark.parametrize('fusion', FUSIONS, ids=lambda x: '-'.join(map(str, x.values())))
def test_clip_without_sound_depends_neither_on_its_buffer_nor_on_the_batch(fusion):
    model = recognizer(fusion=fusion).eval()
    inputs = clips()
    expected = model(inputs)['species']
    # One row per clip, as from a plain collation: values in the row of the silent clip must be ignored.
    for rubbish in (0.0, 1e6, float('nan')):
        buffer = torch.full((3, 1, 32, 70), rubbish)
        buffer[[0, 2]] = inputs['audio']
        found = model({**inputs, 'audio': buffer, 'audio_lengths': torch.full((3,), 70)})['species']
        assert torch.equal(found, expected)
    alone = model({**clips((False,)), 'video': inputs['video'][1:2]})['species']
    torch.testing.assert_close(alone[0], expected[1], rtol=0, atol=1e-6)
    video_alone = recognizer(fusion=fusion, modalities='video').eval()
    torch.testing.assert_close(video_alone(inputs)['species'][1], expected[1], rtol=0, atol=1e-6)
    assert not torch.allclose(video_alone(inputs)['species'][0], expected[0])


@pytest.mark.parametrize('lacking', ['video', 'audio'])
@pytest.mark.parametrize('fusion', FUSIONS, ids=lambda x: '-'.join(map(str, x.values())))
def test_a_batch_that_lacks_a_modality_is_exact(fusion, lacking):
    """Logits, loss and gradients of clips without the modality are the same with and without a complete clip."""
    model = recognizer(fusion=fusion).eval()
    inputs = clips((True, True, True))
    other = 'audio' if lacking == 'video' else 'video'
    inputs['video_mask' if lacking == 'video' else 'audio_mask'] = torch.tensor([False, False, True])
    if lacking == 'audio':
        inputs['audio'], inputs['audio_lengths'] = inputs['audio'][2:], inputs['audio_lengths'][2:]
    alone = {name: values[:2] for name, values in inputs.items()}
    if lacking == 'video':
        alone['video'] = torch.zeros(2, 0, 3, 0, 0)
    else:
        alone |= dict(audio=torch.zeros(0, 1, 0, 0), audio_lengths=torch.zeros(0, dtype=torch.int64))

    def gradients(logits):
        model.zero_grad()
        logits['species'].square().sum().backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    among = {name: logits[:2] for name, logits in model(inputs).items()}
    found = model(alone)
    for name, logits in found.items():
        torch.testing.assert_close(logits, among[name], rtol=0, atol=1e-6)
    wanted = gradients(among)
    got = gradients(found)
    for name, gradient in wanted.items():
        torch.testing.assert_close(got.get(name, torch.zeros_like(gradient)), gradient, rtol=1e-4, atol=1e-6)
    assert not any(got[name].any() for name in got if name.startswith(f'encoders.{lacking}'))
    assert any(got[name].any() for name in got if name.startswith(f'encoders.{other}'))

    data = samples(2)
    losses = model.train()(alone, data, mode='loss')
    assert all(torch.isfinite(value) for value in losses.values())
    assert model.eval()(alone, data, mode='predict')[0].pred_scores['species'].shape == (3,)


def test_padding_does_not_change_a_clip():
    model = recognizer().eval()
    inputs = clips(lengths=(70, 40))
    out = model(inputs)['species']
    inputs['audio'][1, ..., 40:] = 1e6
    assert torch.equal(model(inputs)['species'], out)
    alone = clips((True,), columns=40)
    alone['video'], alone['audio'] = inputs['video'][2:], inputs['audio'][1:, ..., :40]
    torch.testing.assert_close(model(alone)['species'][0], out[2], rtol=0, atol=1e-6)


def test_silent_clips_are_not_encoded():
    model = recognizer()
    seen = []
    model.encoders['audio'].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    model(clips())
    model(clips((False, False)))
    assert seen == [2]


def test_masked_modality_is_not_encoded_and_only_the_bias_remains():
    model = recognizer(modalities=('audio',), fusion=dict(type='MBT', width=16, heads=2))
    model.encoders['video'].forward = None  # calling it would fail
    out = model(clips())['species']
    torch.testing.assert_close(out[1], model.heads['species'].linear.bias)
    with pytest.raises(ConfigError, match=r"modalities=\('sound',\) must be some of \('video', 'audio'\)"):
        recognizer(modalities='sound')
    with pytest.raises(ConfigError, match='must be some of'):
        recognizer(audio_encoder=None)


def test_video_alone_needs_no_audio_encoder():
    model = recognizer(audio_encoder=None, modalities=('video',))
    assert set(model.fusion.projections) == {'video'}
    assert model(clips())['species'].shape == (3, 3)


def test_mean_of_probabilities_equals_a_few_lines():
    model = recognizer(fusion=dict(type='LateFusion', width=16, average='probabilities')).eval()
    data = model(clips(), samples(), mode='predict')
    logits = model(clips())['species']  # (clips, views, classes)
    expected = (logits[0, 0].softmax(-1) + logits[0, 1].softmax(-1)) / 2
    torch.testing.assert_close(data[0].pred_scores['species'], expected)
    torch.testing.assert_close(data[1].pred_scores['species'], logits[1, 0].softmax(-1))
    # Each stream has a loss of its own.
    losses = model(clips(), samples(), mode='loss')
    cross = torch.nn.functional.cross_entropy
    each = [(cross(logits[i, 0], torch.tensor(i)) + cross(logits[i, 1], torch.tensor(i))) / 2 for i in (0, 2)]
    torch.testing.assert_close(losses['loss_species'], (sum(each) + cross(logits[1, 0], torch.tensor(1))) / 3)


def test_attention_is_returned_only_on_request():
    model = recognizer().eval()
    assert 'pred_attention' not in model(clips(), samples(), mode='predict')[0]
    model.collect_attention = True
    data = model(clips(lengths=(70, 40)), samples(), mode='predict')
    assert [set(sample.pred_attention) for sample in data] == [{'video', 'audio'}, {'video'}, {'video', 'audio'}]
    assert data[0].pred_attention['video'].shape == (2,)  # two frames per token
    assert data[0].pred_attention['audio'].shape == (1, 3)
    assert data[2].pred_attention['audio'].shape == (1, 2)  # 40 of 70 columns
    for sample in data:
        for weights in sample.pred_attention.values():
            torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


def test_frozen_encoder_gets_no_graph():
    model = recognizer(video_encoder={**VIDEO, 'frozen': True}).train()
    assert not model.encoders['video'].training
    losses = model(clips(), samples(), mode='loss')
    losses['loss_species'].backward()
    assert all(p.grad is None for p in model.encoders['video'].parameters())


# ---- missing weights -------------------------------------------------------------------------------------------------


@pytest.fixture
def warnings_of():
    heard = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield heard
    logger.removeHandler(handler)


def test_missing_weights_stop_training(tmp_path):
    model = recognizer(video_encoder={**VIDEOMAE, 'pretrained': str(tmp_path)})
    with pytest.raises(
        CheckpointError, match="cannot be loaded.*To train without them, set missing_weights='fall_back'"
    ):
        model.init_weights()
    with pytest.raises(CheckpointError, match='cannot be loaded'):
        model(clips())
    # A checkpoint has its own weights, so nothing is missing.
    trained = recognizer(video_encoder=VIDEOMAE, seed=1).eval()
    load_weights(model, trained.state_dict(), 'trained.pth')
    torch.testing.assert_close(model.eval()(clips())['species'], trained(clips())['species'])


def test_fallback_gives_a_warning_and_is_recorded_in_the_checkpoint(tmp_path, warnings_of):
    missing = dict(video_encoder={**VIDEOMAE, 'pretrained': str(tmp_path)}, fallback=VIDEO, missing_weights='fall_back')
    model = recognizer(**missing)
    model.init_weights()
    assert isinstance(model.encoders['video'], Simple3DCNN)
    (said,) = warnings_of
    assert 'The video encoder FALLS BACK from VideoMAE to Simple3DCNN with random weights' in said
    state = model.state_dict()
    assert 'cannot be loaded' in state['_extra_state']['fallbacks']['video']
    # Even if the weights can be found, the checkpoint keeps its encoder; and the other way round.
    there = recognizer(video_encoder=VIDEOMAE, fallback=VIDEO, seed=1)
    load_weights(there, state, 'trained.pth')
    torch.testing.assert_close(there.eval()(clips())['species'], model.eval()(clips())['species'])
    whole = recognizer(video_encoder=VIDEOMAE, seed=2).eval()
    load_weights(model, whole.state_dict(), 'trained.pth')
    assert isinstance(model.encoders['video'], VideoMAE)
    assert model.fallbacks == {}
    torch.testing.assert_close(model.eval()(clips())['species'], whole(clips())['species'])


def test_audio_falls_back_to_random_weights(tmp_path):
    missing = {**AUDIO, 'pretrained': str(tmp_path / 'no.pth'), 'frozen': True}
    model = recognizer(audio_encoder=missing, missing_weights='fall_back')
    assert set(model.fallbacks) == {'audio'}
    assert not model.encoders['audio'].frozen
    assert recognizer(missing_weights='fall_back').fallbacks == {}


def test_other_classes_are_listed_in_one_message():
    species = dict(type='ClassificationHead', classes=('bear', 'deer', 'fox'))
    other = recognizer(heads={**HEADS, 'species': species})
    with pytest.raises(
        CheckpointError,
        match=r'a.pth was trained for other classes of species: 3 there, 3 in the metadata of the config; '
        r'only in a.pth: owl; only in the metadata: bear',
    ):
        load_weights(other, recognizer().state_dict(), 'a.pth')
    turned = recognizer(heads={**HEADS, 'species': {**species, 'classes': ('owl', 'fox', 'deer')}})
    with pytest.raises(CheckpointError, match='the same in another order'):
        load_weights(turned, recognizer().state_dict(), 'a.pth')


def test_invalid_settings_are_rejected():
    with pytest.raises(ConfigError, match="missing_weights='ignore' must be stop or fall_back"):
        recognizer(missing_weights='ignore')
    with pytest.raises(ConfigError, match='give heads='):
        recognizer(heads={})
    with pytest.raises(ValueError, match='needs data_samples'):
        recognizer()(clips(), mode='loss')
    with pytest.raises(ValueError, match="mode='train' is not one of"):
        recognizer()(clips(), samples(), mode='train')


@pytest.mark.parametrize('fusion', FUSIONS, ids=lambda x: '-'.join(map(str, x.values())))
@pytest.mark.parametrize('sound', [(True, True, True), (True, False, True), (False, False, False)])
def test_bfloat16(fusion, sound):
    model = recognizer(fusion=fusion)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(clips(sound), samples(), mode='loss')
    assert losses['loss_species'].dtype == torch.float32
    losses['loss_species'].backward()
    assert torch.isfinite(model.heads['species'].linear.weight.grad).all()


def test_audio_encoder_gets_no_gradient_from_silent_clips():
    model = recognizer()
    inputs = clips()
    inputs['video'].requires_grad_()
    inputs['audio'].requires_grad_()
    model(inputs)['species'][1].sum().backward()
    assert inputs['audio'].grad.abs().sum() == 0
    assert [clip.abs().sum() > 0 for clip in inputs['video'].grad] == [False, True, False]


def test_top1_accuracy_by_hand():
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    assert _top1(scores, torch.tensor([1, 1, 2])).item() == pytest.approx(2 / 3)
    several = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert _top1(scores, several).item() == pytest.approx(2 / 3)
    mixed = torch.tensor([[0.4, 0.6, 0.0], [0.6, 0.4, 0.0], [0.0, 0.9, 0.1]])
    assert _top1(scores, mixed).item() == pytest.approx(2 / 3)
