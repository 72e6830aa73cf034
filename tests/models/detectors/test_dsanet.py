import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.dsanet import DSANet
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from .public_dsanet import MULTI_HOT, SIZES, TEXT, WIDTH, features, public_tensors
from .public_vadclip import CLASSES, PLACES, PROMPTS

LENGTHS = [16, 5, 9, 13]

# Results of the authors' code (commit 1417406, torch 2.13) for these weights and features, its loss2 times 1.1.
AUTHORS_LOSSES = {
    'loss_binary': 0.70097661,
    'loss_align': 1.2840395,
    'loss_separation': 0.62907863,
    'loss_event': 1.4990379,
    'loss_background': 3.3922324,
    'loss_consistency': 0.006819068,
    'loss_gather': 0.85232335,
}
AUTHORS_PLACES = [0, 7, 15, 16, 31, 32, 38]  # of a video of 39 snippets, tested in chunks of 16
AUTHORS_SCORES = [0.4244843, 0.3849677, 0.4051514, 0.3007024, 0.5193442, 0.241551, 0.441382]
AUTHORS_CLASS_SCORES = [
    [0.5152149, 0.2160832, 0.2687019],
    [0.5234087, 0.2173635, 0.2592278],
    [0.5191928, 0.2159627, 0.2648444],
    [0.5420979, 0.2168447, 0.2410574],
    [0.4961293, 0.2207859, 0.2830849],
    [0.5569614, 0.2113329, 0.2317057],
    [0.5117756, 0.2289237, 0.2593008],
]


def _model(**options):
    torch.manual_seed(0)
    settings = dict(classes=CLASSES, prompts=PROMPTS, text=TEXT, **SIZES)
    return DSANet(**{**settings, 'data_preprocessor': BaseDataPreprocessor(), **options})


def _public_model(**options):
    model = _model(**options)
    model.load_state_dict(model.from_public(public_tensors()))
    return model


def _samples(lengths, multi_hot=MULTI_HOT):
    return [
        VADDataSample(
            metainfo=dict(video_id=f'v{i}', num_snippets=n), gt_label=int(classes.argmax()), gt_classes=classes
        )
        for i, (n, classes) in enumerate(zip(lengths, multi_hot, strict=False))
    ]


def test_losses_equal_those_of_the_authors_code():
    losses = _public_model()(features(LENGTHS), _samples(LENGTHS), mode='loss')
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)


def test_scores_of_a_video_of_several_chunks_equal_those_of_the_authors_code():
    model = _public_model().eval()
    with torch.no_grad():
        out = model(features([39]))
    assert out['scores'][0, AUTHORS_PLACES].tolist() == pytest.approx(AUTHORS_SCORES, abs=2e-6)
    torch.testing.assert_close(
        out['class_scores'][0, AUTHORS_PLACES], torch.tensor(AUTHORS_CLASS_SCORES), rtol=0, atol=2e-6
    )


def test_scores_of_a_video_depend_neither_on_the_batch_nor_on_the_padding():
    model = _public_model().eval()
    lengths = [39, 5, 16]
    feats = features(lengths)
    padded = torch.where(torch.arange(39)[:, None] < torch.tensor(lengths).view(3, 1, 1, 1), feats, 1e3)
    samples = model(padded, _samples(lengths), mode='predict')
    for i, n in enumerate(lengths):
        (alone,) = model(feats[i : i + 1, :, :n], _samples([n]), mode='predict')
        torch.testing.assert_close(samples[i].pred_scores, alone.pred_scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(samples[i].pred_class_scores, alone.pred_class_scores, rtol=1e-5, atol=1e-6)


def test_class_scores_sum_to_1_and_cover_every_frame():
    (sample,) = _public_model().eval()(features([5]), _samples([5]), mode='predict')
    assert sample.pred_scores.shape == (80,)
    assert sample.pred_class_scores.shape == (80, 3)
    torch.testing.assert_close(sample.pred_class_scores.sum(1), torch.ones(80))


def test_with_class_temperature_1_normal_has_its_binary_probability():
    with torch.no_grad():
        out = _public_model(class_temperature=1.0).eval()(features([20]))
    torch.testing.assert_close(1 - out['class_scores'][..., 0], out['scores'])


def test_values_in_the_padding_change_no_loss():
    model = _public_model()
    feats = features(LENGTHS)
    junk = torch.where(torch.arange(16)[:, None] < torch.tensor(LENGTHS).view(4, 1, 1, 1), feats, -7.0)
    expected = model(feats, _samples(LENGTHS), mode='loss')
    for name, value in model(junk, _samples(LENGTHS), mode='loss').items():
        torch.testing.assert_close(value, expected[name], msg=name)


def test_each_crop_counts_as_a_training_video():
    model = _public_model()
    feats = features(LENGTHS)
    crops = torch.cat([feats, feats.flip(-1)], dim=1)
    both = model(crops, _samples(LENGTHS), mode='loss')
    apart = [model(crops[:, i : i + 1], _samples(LENGTHS), mode='loss') for i in range(2)]
    for name, value in both.items():
        torch.testing.assert_close(value, (apart[0][name] + apart[1][name]) / 2, msg=name)


def test_event_and_background_by_hand():
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    event, background = _model().event_and_background(x, torch.tensor([[0.0, 0.1, 0.2]]))
    a, b = math.exp(1) - 1, math.exp(2) - 1
    torch.testing.assert_close(event, torch.tensor([[b, a + b]]) / (a + b))
    weights = [math.exp(10) - 1, math.exp(9) - 1, math.exp(8) - 1]
    expected = torch.tensor([[weights[0] + weights[2], weights[1] + weights[2]]]) / sum(weights)
    torch.testing.assert_close(background, expected)


def test_training_changes_all_but_the_text_tower_and_separates_videos():
    model = _model()
    frozen = {name: value.clone() for name, value in model.text.state_dict().items()}
    inputs = torch.randn(8, 1, PLACES, WIDTH)
    inputs[4:, :, 5:9] += 2.0  # an event in every abnormal video
    classes = torch.eye(3)[[0] * 4 + [1, 2, 1, 2]]
    samples = _samples([PLACES] * 8, classes)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    start = {name: p.detach().clone() for name, p in trained}
    optimizer = torch.optim.Adam([p for _, p in trained], lr=3e-3)
    first = None
    for _ in range(40):
        optimizer.zero_grad()
        losses = model(inputs, samples, mode='loss')
        sum(losses.values()).backward()
        optimizer.step()
        first = first or losses['loss_binary'].item()
    assert losses['loss_binary'].item() < 0.5 * first
    still = [name for name, p in trained if torch.equal(p, start[name])]
    assert still == []
    assert all(torch.equal(value, frozen[name]) for name, value in model.text.state_dict().items())


def test_snippets_treated_as_normal_pass_no_gradient_to_the_adapter():
    model = _public_model()
    losses = model(features(LENGTHS), _samples(LENGTHS), mode='loss')
    losses['loss_gather'].backward()
    assert model.normality.prototypes.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.adapter.parameters())


def test_texts_are_encoded_once_in_a_test_and_again_in_the_next(monkeypatch):
    model = _public_model().eval()
    calls = []
    encode = model.encode_prompts
    monkeypatch.setattr(model, 'encode_prompts', lambda: calls.append(1) or encode())
    with torch.no_grad():
        with steady_weights():
            for _ in range(3):
                before = model(features([5]))['class_scores']
        assert len(calls) == 1
        model.text_output.weight.data.mul_(-1.0)
        with steady_weights():
            assert not torch.allclose(model(features([5]))['class_scores'], before)
    assert len(calls) == 2


def test_the_text_adapter_is_scaled_to_the_length_of_its_residual():
    model = _public_model(adapter_weight=1.0)
    lengths = []
    model.text.blocks[0].register_forward_hook(lambda *args: lengths.append(args[2].norm(dim=-1)))
    model.text.blocks[1].register_forward_pre_hook(lambda *args: lengths.append(args[1][0].norm(dim=-1)))
    model.encode_prompts()
    torch.testing.assert_close(lengths[1], lengths[0], rtol=1e-4, atol=1e-5)


def test_a_random_text_tower_gives_a_warning(monkeypatch):
    warned = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', warned.append)
    _model().init_weights()
    assert 'pretrained' in warned[0]


def test_the_checkpoint_of_the_authors_fills_every_weight_and_other_layouts_are_none():
    model = _model()
    ours = model.from_public(public_tensors())
    assert set(ours) == set(model.state_dict())
    assert model.from_public(model.state_dict()) is None
    assert model.from_public({'text_prompt_embeddings.weight': torch.zeros(77, 8)}) is None
    with pytest.raises(CheckpointError, match=r'DSANet.*: audio\.weight'):
        model.from_public({**public_tensors(), 'audio.weight': torch.zeros(1)})
    without_clip = {n: t for n, t in public_tensors().items() if not n.startswith('clipmodel.')}
    with pytest.raises(CheckpointError, match="DSANet's authors lacks the CLIP weights"):
        model.from_public(without_clip)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(classes=('Normal',), prompts=None), 'at least one abnormal class'),
        (dict(prompts=dict(B2='fire')), "no class 'B2'"),
        (dict(prompts=dict(A='word ' * 80)), 'tokens with both ends, the text tower takes 77'),
        (dict(adapted_blocks=3), 'adapted_blocks=3, but the text tower has 2'),
        (dict(normal_share=0.01), r'normal_share=0\.01 of max_snippets=16'),
        (dict(normal_share=1.5), r'normal_share=1\.5'),
        (dict(embed_dim=12), 'dim=12 is not a multiple'),
    ],
)
def test_invalid_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        _model(**options)


def test_videos_too_long_and_without_a_class_are_named():
    model = _model()
    with pytest.raises(ConfigError, match='DSANet: a training video has 20 snippets, the model has max_snippets=16'):
        model(features([20, 20]), _samples([20, 20]), mode='loss')
    sample = VADDataSample(metainfo=dict(video_id='v', num_snippets=5), gt_label=-1)
    with pytest.raises(DataError, match="DSANet: video 'v' has none of the 3 classes"):
        model(features([5]), [sample], mode='loss')


def test_separation_is_the_mean_cosine_of_texts_to_normals():
    model = _public_model()
    with torch.no_grad():
        texts = model.encode_prompts()
        losses = model(features(LENGTHS), _samples(LENGTHS), mode='loss')
    torch.testing.assert_close(texts.norm(dim=-1), torch.ones(3))
    expected = F.cosine_similarity(texts[1:], texts[:1]).abs().mean()
    torch.testing.assert_close(losses['loss_separation'], expected)
