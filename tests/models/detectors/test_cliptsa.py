from functools import partial

import numpy as np
import pytest
import torch
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.cliptsa import CLIPTSA
from vadlab.models.detectors.rtfm import RTFM
from vadlab.utils.errors import CheckpointError, ConfigError

from .fixed_snippets import fill, samples, scattered_features


def _fill(model):
    fill(model, is_one=lambda name: 'norm.weight' in name or 'running_var' in name)


def features(b=4, c=2, t=12, d=16):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=12)


def noise(samples, length):
    """The noise of our tests, for the authors' code."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal((length, samples), dtype=np.float32)).T


def _model(**options):
    torch.manual_seed(0)
    settings = dict(feature_dim=16, hidden_dims=(4, 1), keep=0.5)
    return CLIPTSA(**{**settings, 'data_preprocessor': BaseDataPreprocessor(), **options})


# Results of the authors' code (commit a58353c) for these weights, features and noise, and 16 channels.
AUTHORS_LOSSES = {
    'loss_score': 0.6474935,
    'loss_magnitude': 0.7973006,
    'loss_sparsity': 0.01322805,
    'loss_smoothness': 0.0001615,
}
AUTHORS_SCORES = [0.1636629, 0.4434824, 0.3344388]


def test_losses_and_scores_equal_those_of_the_authors_code():
    model = _model().eval()  # dropout would need the authors' random draws
    _fill(model)
    with torch.no_grad():
        terms = model(features(), _samples(0, 0, 2, -1), mode='loss')
        scores = model(features())['scores'].unflatten(0, (4, 2)).mean(1)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)
    assert scores[1, [0, 5, 11]].tolist() == pytest.approx(AUTHORS_SCORES, abs=1e-6)


def test_without_choosing_it_is_rtfm():
    model = _model(keep=1.0).eval()
    _fill(model)
    rtfm = RTFM(feature_dim=16, hidden_dims=(4, 1), data_preprocessor=BaseDataPreprocessor()).eval()
    rtfm.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith('relevance')})
    with torch.no_grad():
        assert torch.equal(model(features())['scores'], rtfm(features())['scores'])


def test_weights_sum_to_the_number_of_chosen_snippets():
    model = _model(keep=0.5, samples=50)
    _fill(model)
    feats, mask = features(2, 1)[:, 0], torch.arange(12) < torch.tensor([[12], [7]])
    for training in (True, False):
        weights = model.train(training).weigh(feats, mask)
        assert weights.sum(1).tolist() == pytest.approx([6, 3])  # int(12 * 0.5), int(7 * 0.5)
        assert (weights[1, 7:] == 0).all()
    assert model.weigh(feats, mask).equal(model.weigh(feats, mask))  # the noise of tests is always the same
    assert not model.train().weigh(feats, mask).equal(model.weigh(feats, mask))


def test_at_most_some_snippets_of_a_tested_video_are_chosen():
    model = _model(keep=1.0, max_chosen=4)
    mask = torch.ones(1, 12, dtype=torch.bool)
    assert model.train().weigh(features(1, 1)[:, 0], mask).sum() == 12
    assert model.eval().weigh(features(1, 1)[:, 0], mask).sum().item() == pytest.approx(4)


@pytest.mark.parametrize('length', [1, 3, 12])
def test_padding_changes_no_score(length):
    model = _model().eval()
    _fill(model)
    feats = features(2)
    feats[1, :, length:] = 0
    with torch.no_grad():
        together = model(feats, _samples(0, 1, lengths=[12, length]))['scores'][2:, :length]
        alone = model(feats[1:, :, :length])['scores']
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_wide_features_are_projected():
    model = _model(feature_dim=600, hidden_dims=(8, 4))
    assert model.temporal.reduce.in_channels == 512
    terms = model(features(2, 1, d=600), _samples(0, 1), mode='loss')
    sum(terms.values()).backward()
    assert all(p.grad.abs().sum() > 0 for p in (*model.project.parameters(), *model.relevance.parameters()))


def test_the_authors_checkpoint_loads_under_our_names():
    for dim in (16, 600):
        model = _model(feature_dim=dim)
        own = model.state_dict()
        layers = {'relevance.0': 'hard_attention.scorer.fc1', 'relevance.2': 'hard_attention.scorer.fc2'}
        layers |= {'project.0': 'mlp.fc1', 'project.2': 'mlp.fc2', 'temporal.reduce': 'Aggregate.conv_4.0'}
        for number, part in enumerate(('dilated.0', 'dilated.1', 'dilated.2', None, 'fuse'), 1):
            layers[f'temporal.{part}.conv'] = f'Aggregate.conv_{number}.0'
            layers[f'temporal.{part}.norm'] = f'Aggregate.conv_{number}.2'
        for new, old in (('query', 'theta'), ('key', 'phi'), ('value', 'g'), ('out', 'W.0'), ('norm', 'W.1')):
            layers[f'temporal.non_local.{new}'] = f'Aggregate.non_local.{old}'
        theirs = {}
        for name, tensor in own.items():
            layer, _, kind = name.rpartition('.')
            theirs[f'{layers.get(layer, layer)}.{kind}'] = tensor
        theirs['mlp.fc1.weight'] = theirs.get('mlp.fc1.weight', torch.zeros(1024, 512))  # always in their checkpoints
        found = model.from_public(theirs)
        assert {name: t.data_ptr() for name, t in found.items()} == {n: t.data_ptr() for n, t in own.items()}
    assert model.from_public(own) is None
    with pytest.raises(CheckpointError, match=r'CLIP-TSA.* 1 tensors .*: audio\.weight'):
        model.from_public({**theirs, 'audio.weight': torch.zeros(1)})


def test_invalid_inputs_are_rejected():
    with pytest.raises(ConfigError, match=r'keep=0 must be in \(0, 1\]'):
        _model(keep=0)
    with pytest.raises(ConfigError, match='sigma=0'):
        _model(sigma=0)
