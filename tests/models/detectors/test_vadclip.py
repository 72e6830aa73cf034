import math

import pytest
import torch
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.vadclip import VadCLIP
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from .public_vadclip import CLASSES, PLACES, PROMPTS, SIZES, TEXT, WIDTH, features, public_tensors

LENGTHS = [16, 5, 9, 13]
MULTI_HOT = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])

# Results of the authors' code (commit f643c91, torch 2.13) for these weights and features.
AUTHORS_LOSSES = {'loss_binary': 0.65276814, 'loss_align': 1.0762272, 'loss_separation': 8.7841829e-05}
AUTHORS_PLACES = [0, 7, 15, 16, 31, 32, 38]  # of a video of 39 snippets, tested in chunks of 16
AUTHORS_SCORES = [0.5118836, 0.6495141, 0.754951, 0.5509391, 0.5323318, 0.5059785, 0.5642561]
AUTHORS_CLASS_SCORES = [
    [0.6081542, 0.358468, 0.0333778],
    [0.0457247, 0.0480379, 0.9062375],
    [0.1197878, 0.1364654, 0.7437468],
    [0.4701186, 0.5007682, 0.0291132],
    [0.3569878, 0.2749104, 0.3681018],
    [0.6524261, 0.3427308, 0.0048431],
    [0.0552331, 0.0549437, 0.8898233],
]


def _model(**options):
    torch.manual_seed(0)
    settings = dict(classes=CLASSES, prompts=PROMPTS, text=TEXT, separation_weight=1e-4, **SIZES)
    return VadCLIP(**{**settings, 'data_preprocessor': BaseDataPreprocessor(), **options})


def _public_model(**options):
    model = _model(**options)
    model.load_state_dict(model.from_public(public_tensors()))
    return model


def _samples(lengths, labels=None, multi_hot=None):
    samples = []
    for i, n in enumerate(lengths):
        sample = VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=n))
        sample.gt_label = labels[i] if labels else int(multi_hot[i].argmax())
        if multi_hot is not None:
            sample.gt_classes = multi_hot[i]
        samples.append(sample)
    return samples


def test_losses_equal_those_of_the_authors_code():
    losses = _public_model()(features(LENGTHS), _samples(LENGTHS, multi_hot=MULTI_HOT), mode='loss')
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)


def test_scores_of_a_video_of_several_chunks_equal_those_of_the_authors_code():
    model = _public_model().eval()
    with torch.no_grad():
        out = model(features([39]))
    assert out['scores'][0, AUTHORS_PLACES].tolist() == pytest.approx(AUTHORS_SCORES, abs=2e-6)
    torch.testing.assert_close(
        out['class_scores'][0, AUTHORS_PLACES], torch.tensor(AUTHORS_CLASS_SCORES), rtol=0, atol=2e-6
    )


def test_the_aligned_branch_scores_one_minus_the_probability_of_normal():
    model = _public_model(score_branch='aligned').eval()
    with torch.no_grad():
        out = model(features([39]))
    torch.testing.assert_close(out['scores'], 1 - out['class_scores'][..., 0])
    torch.testing.assert_close(out['logits'].sigmoid(), out['scores'])


def test_prompts_take_the_place_of_class_names():
    """The phrases of the config as prompts give the class scores of the config, and the aligned branch's scores."""
    model, aligned = _public_model().eval(), _public_model(score_branch='aligned').eval()
    feats = features([39])
    with torch.no_grad():
        plain, wanted = model(feats), aligned(feats)
        model.use_prompts(['fighting', 'car accident'])
        assert model.classes == ('A', 'fighting', 'car accident')
        prompted = model(feats)
        torch.testing.assert_close(prompted['scores'], wanted['scores'])
        torch.testing.assert_close(prompted['class_scores'], wanted['class_scores'])
        model.use_prompts(None)
        assert model.classes == CLASSES
        assert torch.equal(model(feats)['scores'], plain['scores'])


def test_several_negatives_are_one_normal_class_by_hand():
    model = _public_model().eval()
    feats = features([5])
    with torch.no_grad():
        model.use_prompts(['fighting'], ['a street', 'a quiet room'])
        found = model(feats)
        texts = model.encode_prompts()
        assert len(texts) == 3
        _, logits = model.logits_of(torch.nn.functional.pad(feats[:, 0], (0, 0, 0, PLACES - 5)), [5], texts)
    shares = logits[:, :5].softmax(-1)
    torch.testing.assert_close(found['class_scores'][..., 0], shares[..., 0] + shares[..., 1])
    torch.testing.assert_close(found['scores'], shares[..., 2])


@pytest.mark.parametrize(
    ('prompts', 'message'),
    [(['word ' * 80], 'the text tower takes 77'), (['b', 'B'], 'is given twice'), (['A'], 'give it as a negative')],
)
def test_prompts_that_cannot_be_used_are_an_error_and_change_nothing(prompts, message):
    model = _public_model().eval()
    with pytest.raises(ConfigError, match=message):
        model.use_prompts(prompts)
    assert model.classes == CLASSES
    assert len(model.encode_prompts()) == 3


def test_predictions_cover_every_frame_with_class_scores():
    (sample,) = _public_model().eval()(features([5]), _samples([5], [1]), mode='predict')
    assert sample.pred_scores.shape == (80,)
    assert sample.pred_class_scores.shape == (80, 3)
    torch.testing.assert_close(sample.pred_class_scores.sum(1), torch.ones(80))


def test_scores_of_a_video_do_not_depend_on_the_batch():
    model = _public_model().eval()
    lengths = [39, 5, 16]
    feats = features(lengths)
    samples = model(feats, _samples(lengths, [0, 1, 2]), mode='predict')
    for i, n in enumerate(lengths):
        (alone,) = model(feats[i : i + 1, :, :n], _samples([n], [0]), mode='predict')
        torch.testing.assert_close(samples[i].pred_scores, alone.pred_scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(samples[i].pred_class_scores, alone.pred_class_scores, rtol=1e-5, atol=1e-6)


def test_each_crop_counts_as_a_training_video():
    model = _public_model()
    feats = features([*LENGTHS, *LENGTHS]).view(2, 4, 1, -1, WIDTH)
    feats[1] = feats[1] * (torch.arange(16) < torch.tensor(LENGTHS)[:, None])[:, None, :, None]
    crops = torch.cat([feats[0], feats[1]], dim=1)
    both = model(crops, _samples(LENGTHS, multi_hot=MULTI_HOT), mode='loss')
    apart = [model(part, _samples(LENGTHS, multi_hot=MULTI_HOT), mode='loss') for part in feats]
    for name, value in both.items():
        torch.testing.assert_close(value, (apart[0][name] + apart[1][name]) / 2)


def test_training_changes_all_but_the_text_tower_and_separates_videos():
    model = _model()
    frozen = {name: value.clone() for name, value in model.state_dict().items() if name.startswith('text')}
    frozen = {name: value for name, value in frozen.items() if not name.startswith('text_mlp')}
    inputs = 0.5 * torch.randn(6, 1, PLACES, WIDTH)
    inputs[2:4, :, 5:9, 0] += 6.0  # an event of one class
    inputs[4:, :, 5:9, 1] += 6.0  # and of another
    samples = _samples([PLACES] * 6, [0, 0, 1, 1, 2, 2])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    first = None
    for _ in range(60):
        optimizer.zero_grad()
        losses = model(inputs, samples, mode='loss')
        sum(losses.values()).backward()
        if first is None:
            first = {name: value.item() for name, value in losses.items()}
            moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
            assert moved == {name for name, p in model.named_parameters() if p.requires_grad}
        optimizer.step()
    assert losses['loss_binary'].item() < 0.2 * first['loss_binary']
    assert losses['loss_align'].item() < 0.2 * first['loss_align']
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in frozen.items())
    predicted = model.eval()(inputs, samples, mode='predict')
    assert predicted[0].pred_scores.max() < 0.4
    assert min(predicted[i].pred_scores.max() for i in (2, 3, 4, 5)) > 0.8


def test_padding_and_its_values_change_nothing():
    model = _public_model().eval()
    feats = features([16, 5])
    samples = _samples([16, 5], [0, 1])
    expected = [s.pred_scores for s in model(feats, samples, mode='predict')]
    feats[1, :, 5:] = 1e3
    for sample, scores in zip(model(feats, samples, mode='predict'), expected, strict=True):
        torch.testing.assert_close(sample.pred_scores, scores)


def test_prompts_hold_words_between_learnt_vectors_and_end_at_their_end():
    model = _model(prompts=dict(A='normal', B6='car accident'))
    ids = model.prompt_ids
    assert ids.shape == (3, 2 + 2 + 3 + 2)  # start, two learnt, two words, three learnt, end
    assert ids[0].tolist() == [49406, -1, -1, model.prompt_ids[0, 3].item(), -1, -1, -1, 49407, -1]
    assert model.prompt_ends.tolist() == [7, ids[1].ne(-1).nonzero().max().item(), 8]
    assert (ids[2, 3:5] >= 0).all()


def test_texts_are_encoded_once_in_a_test_and_again_in_the_next():
    model = _model().eval()
    calls = []
    model.text.blocks[0].register_forward_hook(lambda *args: calls.append(1))
    with torch.no_grad():
        with steady_weights():
            first = model(features([5]))['class_scores']
            model(features([9]))
        assert len(calls) == 1
        model.prompt_embedding.data += 0.5
        with steady_weights():
            assert not torch.equal(model(features([5]))['class_scores'], first)
    assert len(calls) == 2


def test_separation_is_the_mean_absolute_cosine_with_normal():
    model = _model(separation_weight=0.5)
    texts = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0], [-3.0, 4, 0, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0, 0, 0]])
    model.encode_prompts = lambda: texts
    losses = model(features([5]), _samples([5], [0]), mode='loss')
    assert losses['loss_separation'].item() == pytest.approx(0.5 * (0.6 + 0) / 2)


def test_binary_loss_by_hand():
    model = _model()
    logits = torch.zeros(1, PLACES)
    logits[0, :3] = torch.tensor([2.0, 1.0, 9.0])  # the last is padding
    model.logits_of = lambda feats, lengths, texts: (logits, torch.zeros(1, PLACES, 3))
    losses = model(features([2]), _samples([2], [1]), mode='loss')  # 2 // 16 + 1 = 1 snippet
    assert losses['loss_binary'].item() == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-5)
    assert losses['loss_align'].item() == pytest.approx(math.log(3), rel=1e-5)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(classes=['Normal']), 'at least one abnormal class'),
        (dict(prompts=dict(B7='riot')), "no class 'B7'"),
        (dict(prompts=dict(B1='a ' * 80)), 'has 80 tokens.* takes 77'),
        (dict(score_branch='text'), "neither 'binary' nor 'aligned'"),
        (dict(window=5), 'window=5 does not divide length=16'),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        _model(**options)


def test_training_videos_that_are_too_long_or_without_a_class_are_rejected():
    with pytest.raises(ConfigError, match='20 snippets, the model has max_snippets=16'):
        _model()(features([20]), _samples([20], [0]), mode='loss')
    with pytest.raises(DataError, match='none of the 3 classes'):
        _model()(features([5]), _samples([5], [3]), mode='loss')


def test_a_public_file_with_missing_or_unknown_tensors_is_rejected_and_other_layouts_give_none():
    tensors = public_tensors()
    model = _model()
    assert model.from_public({'fc1.weight': torch.zeros(1)}) is None
    with pytest.raises(CheckpointError, match='it has unknown 1 tensors: fc9'):
        model.from_public({**tensors, 'clipmodel.fc9': torch.zeros(1)})
    with pytest.raises(CheckpointError, match='VADLab does not know: fc9'):
        model.from_public({**tensors, 'fc9.weight': torch.zeros(1)})
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith('clipmodel.')}
    with pytest.raises(CheckpointError, match='lacks the CLIP weights'):
        model.from_public(own)


def test_a_random_text_tower_gives_a_warning(log):
    _model().init_weights()
    assert 'random weights' in log.text
