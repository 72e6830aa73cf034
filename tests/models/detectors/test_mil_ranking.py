import math

import numpy as np
import pytest
import torch

from vadlab.checkpoints.checkpoint_io import in_our_names
from vadlab.models.detectors.mil_ranking import to_segments
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import CheckpointError, ConfigError


def _model(**options):
    torch.manual_seed(0)
    settings = dict(type='MILRanking', feature_dim=4, hidden_dims=(8, 3), num_segments=5)
    return MODELS.build({**settings, 'data_preprocessor': dict(type='BaseDataPreprocessor'), **options})


def _samples(*labels, length=5):
    return [
        VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=length), gt_label=label)
        for i, label in enumerate(labels)
    ]


def _features(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_network_is_the_authors_two_hidden_layers_with_one_relu():
    model, feats = _model(num_segments=None).eval(), _features(2, 1, 6, 4)
    unit = feats[:, 0] / feats[:, 0].norm(dim=-1, keepdim=True)
    hidden = (unit @ model.fc1.weight.T).clamp_min(0) @ model.fc2.weight.T  # biases start at zero
    assert (hidden < 0).any()
    torch.testing.assert_close(model(feats)['scores'], torch.sigmoid((hidden @ model.fc3.weight.T)[..., 0]))


def _loop_over_segments(count, segments):
    """Segment of each snippet and snippets of each segment, counted as in Save_C3DFeatures_32Segments."""
    places = [math.floor(1 + i * (count - 1) / segments + 0.5) for i in range(segments + 1)]
    members = [list(range(a, max(b, a + 1))) for a, b in zip(places, places[1:], strict=False)]
    return [[j - 1 for j in m] for m in members]


@pytest.mark.parametrize('count', [1, 2, 4, 5, 6, 7, 23, 40])
def test_segments_are_those_of_the_authors_matlab_script(count):
    feats = _features(1, count, 3)
    means, segment = to_segments(feats, torch.tensor([count]), 5)
    members = _loop_over_segments(count, 5)
    expected = np.stack([feats[0, m].mean(0) for m in members])
    np.testing.assert_allclose(means[0], expected, atol=1e-6)
    for place, index in enumerate(segment[0].tolist()):
        assert place in members[index] or place > max(members[index])


def test_segments_do_not_depend_on_padding():
    feats = _features(2, 9, 3)
    means, segment = to_segments(feats, torch.tensor([9, 6]), 4)
    alone_means, alone_segment = to_segments(feats[1:, :6], torch.tensor([6]), 4)
    torch.testing.assert_close(means[1], alone_means[0])
    assert segment[1, :6].tolist() == alone_segment[0].tolist()


def test_snippets_of_one_segment_have_one_score():
    model = _model(num_segments=2).eval()
    feats = _features(1, 1, 7, 4)  # borders 1, 4, 7: snippets 0..2, 3..5; the last one is in segment 2
    scores = model(feats)['scores'][0]
    assert scores[:3].unique().numel() == scores[3:].unique().numel() == 1
    assert scores[0] != scores[3]
    single = _model(num_segments=None).eval()
    expected = single(torch.stack([feats[0, 0, :3].mean(0), feats[0, 0, 3:6].mean(0)])[None, None])['scores'][0]
    torch.testing.assert_close(scores[[0, 3]], expected)


def test_loss_averages_the_scores_of_crops_and_penalises_weights_as_keras_does():
    model = _model(weight_l2=0.5).eval()
    feats = _features(4, 2, 5, 4)
    with torch.no_grad():
        terms = model(feats, _samples(3, 0, 0, 1), mode='loss')
        scores = _model(num_segments=None).eval()(feats)['scores'].unflatten(0, (4, 2)).mean(1)
        squares = sum((layer.weight**2).sum() for layer in (model.fc1, model.fc2, model.fc3))
    assert set(terms) == {'loss_ranking', 'loss_sparsity', 'loss_smoothness', 'loss_weights'}
    top = scores.amax(1)
    hinges = [1 - top[a] + top[n] for n in (1, 2) for a in (0, 3)]
    assert terms['loss_ranking'].item() == pytest.approx(float(sum(hinges)) / 2, rel=1e-5)
    assert terms['loss_sparsity'].item() == pytest.approx(8e-5 * float(scores[[0, 3]].sum()), rel=1e-5)
    assert terms['loss_weights'].item() == pytest.approx(0.5 * float(squares), rel=1e-5)


def test_training_ranks_the_abnormal_video_above_the_normal_one():
    model = _model(dropout=0.1)
    feats, samples = _features(8, 1, 5, 4), _samples(0, 0, 0, 0, 1, 2, -1, 3)
    feats = 0.2 * feats + torch.tensor([1.0, 0.0, 0.0, 0.0])
    feats[4:, :, 2] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        terms = model(feats, samples, mode='loss')
        sum(terms.values()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    out = _model(num_segments=None)
    out.load_state_dict(model.state_dict())
    scores = out.eval()(feats)['scores']
    assert scores[4:, 2].min() > scores[:4].max()
    (sample,) = model.eval()(feats[4:5], samples[4:5], mode='predict')
    assert sample.pred_scores.shape == sample.pred_logits.shape == (80,)


@pytest.mark.parametrize('prefixes', [('fc1', 'fc2', 'fc3'), ('model.fc1', 'model.fc2', 'model.fc3')])
def test_checkpoints_of_the_first_port_load(prefixes):
    model = _model()
    own = model.state_dict()
    theirs = {f'{p}.{kind}': own[f'fc{i}.{kind}'] for i, p in enumerate(prefixes, 1) for kind in ('weight', 'bias')}
    found = in_our_names(model, theirs, 'port.pth')
    assert found.keys() == own.keys()
    assert found['fc2.bias'] is theirs[f'{prefixes[1]}.bias']


def test_checkpoints_of_the_second_port_load_without_the_second_copy():
    model = _model()
    theirs = {}
    for number, layer in ((0, model.fc1), (3, model.fc2), (6, model.fc3)):
        theirs |= {f'classifier.{number}.{name}': value for name, value in layer.state_dict().items()}
    theirs |= {f'vars.{i}': value for i, value in enumerate(list(theirs.values()))}
    assert model.from_public(theirs).keys() == model.state_dict().keys()
    with pytest.raises(CheckpointError, match=r'1 tensors that VADLab does not know: Aggregate\.conv_1'):
        model.from_public({**theirs, 'Aggregate.conv_1.0.weight': torch.zeros(1)})
    assert model.from_public({'Aggregate.conv_1.0.weight': torch.zeros(1)}) is None


def test_invalid_inputs_are_rejected():
    with pytest.raises(ConfigError, match='num_segments must be >= 1, not 0'):
        _model(num_segments=0)
    with pytest.raises(ConfigError, match='MILRanking compares.*holds 1 and 2.*BalancedBatchSampler'):
        _model()(_features(3, 1, 5, 4), _samples(0, 1, 1), mode='loss')
