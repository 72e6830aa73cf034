from functools import partial

import pytest
import torch

from vadlab.models.detectors.rtfm import NonLocal
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from .fixed_snippets import fill, samples, scattered_features

LENGTH = 12


def _model(**options):
    torch.manual_seed(0)
    settings = dict(type='RTFM', feature_dim=16, hidden_dims=(12, 6))
    return MODELS.build({**settings, 'data_preprocessor': dict(type='BaseDataPreprocessor'), **options})


def _fill(model):
    fill(model, is_one=lambda name: 'norm.weight' in name or 'running_var' in name)


def features(b=4, c=2, t=LENGTH, d=16):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=LENGTH)


# Results of the authors' code (commit cf938f4) for these weights and features, with its constants 2048 and 512 of the
# temporal network replaced by 16 and 4.
AUTHORS_LOSSES = {
    'loss_score': 1.53253,
    'loss_magnitude': 1.0132745,
    'loss_sparsity': 0.03147404,
    'loss_smoothness': 0.0003390917,
}
AUTHORS_SCORES = [0.893043, 0.6570197, 0.9444923]


def test_losses_and_scores_equal_those_of_the_authors_code():
    model = _model(hidden_dims=(512, 128)).eval()  # evaluation mode: dropout would need the authors' random draws
    _fill(model)
    with torch.no_grad():
        terms = model(features(), _samples(0, 0, 2, -1), mode='loss')
        scores = model(features())['scores'].unflatten(0, (4, 2)).mean(1)
    assert terms.keys() == AUTHORS_LOSSES.keys()
    for name, value in AUTHORS_LOSSES.items():
        assert terms[name].item() == pytest.approx(value, rel=2e-6), name
    torch.testing.assert_close(scores[1, [0, 5, 11]], torch.tensor(AUTHORS_SCORES), atol=1e-6, rtol=0)


def test_the_order_of_normal_and_abnormal_videos_does_not_matter():
    model = _model().eval()
    _fill(model)
    feats = features()
    with torch.no_grad():
        sorted_terms = model(feats, _samples(0, 0, 1, 1), mode='loss')
        mixed_terms = model(feats[[2, 0, 3, 1]], _samples(1, 0, 1, 0), mode='loss')
    for name, term in sorted_terms.items():
        torch.testing.assert_close(mixed_terms[name], term)


def test_terms_by_hand_for_one_pair_of_videos(monkeypatch):
    model = _model(topk=1, margin=5.0, magnitude_weight=1.0, sparsity_weight=1.0, smoothness_weight=1.0).eval()
    lengths = torch.tensor([[1.0, 2.0, 0.5], [3.0, 0.0, 1.0]])  # of the normal, of the abnormal video's features
    feats = torch.zeros(2, 3, 16)
    feats[..., 0] = lengths
    probabilities = torch.tensor([[0.1, 0.2, 0.3], [0.8, 0.4, 0.5]])
    monkeypatch.setattr(model, '_run', lambda *_: (feats, torch.logit(probabilities)))
    terms = model(torch.zeros(2, 1, 3, 16), _samples(0, 1, lengths=[3, 3]), mode='loss')
    # The features with the largest norms are snippet 1 of the normal and snippet 0 of the abnormal video.
    expected = -(torch.tensor(0.8).log() + torch.tensor(0.8).log()) / 2
    torch.testing.assert_close(terms['loss_score'], expected)
    assert terms['loss_magnitude'].item() == pytest.approx((abs(5 - 3) + 2) ** 2)
    assert terms['loss_sparsity'].item() == pytest.approx((0.64 + 0.16 + 0.25) ** 0.5)
    assert terms['loss_smoothness'].item() == pytest.approx(0.16 + 0.01)


def test_smoothness_spans_abnormal_videos_but_not_padding(monkeypatch):
    model = _model(smoothness_weight=1.0, sparsity_weight=1.0).eval()
    probabilities = torch.tensor([[0.5] * 3] * 2 + [[0.1, 0.2, 0.6], [0.9, 0.9, 0.9]])
    monkeypatch.setattr(model, '_run', lambda feats, _: (feats, torch.logit(probabilities)))
    inputs = torch.ones(4, 1, 3, 16)
    whole = model(inputs, _samples(0, 0, 1, 1, lengths=[3] * 4), mode='loss')
    assert whole['loss_smoothness'].item() == pytest.approx(0.01 + 0.16 + 0.09)
    padded = model(inputs, _samples(0, 0, 1, 1, lengths=[3, 3, 2, 3]), mode='loss')
    assert padded['loss_smoothness'].item() == pytest.approx(0.01)
    assert padded['loss_sparsity'].item() == pytest.approx((0.01 + 0.04 + 3 * 0.81) ** 0.5)


def test_only_real_snippets_are_chosen(monkeypatch):
    model = _model(topk=2).eval()
    feats = torch.zeros(2, 4, 16)
    feats[..., 0] = torch.tensor([1.0, 2.0, 9.0, 9.0])
    monkeypatch.setattr(model, '_run', lambda *_: (feats, torch.zeros(2, 4)))
    terms = model(torch.zeros(2, 1, 4, 16), _samples(0, 1, lengths=[2, 2]), mode='loss')
    assert terms['loss_magnitude'].item() == pytest.approx(1e-4 * (100 - 1.5 + 1.5) ** 2)


@pytest.mark.parametrize('length', [1, 3, 40])
def test_padding_changes_no_score(length):
    model = _model().eval()
    _fill(model)
    feats = features(2, 2, 40)
    feats[1, :, length:] = 0
    with torch.no_grad():
        together = model(feats, _samples(0, 1, lengths=[40, length]))['scores'][2:, :length]
        alone = model(feats[1:, :, :length])['scores']
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_attention_gives_the_same_for_short_and_long_videos_as_its_definition():
    torch.manual_seed(0)
    layer = NonLocal(6).eval()
    torch.nn.init.ones_(layer.norm.weight)
    for length in (2, 30):  # below and above the 3 channels, where the order of the products changes
        feats = torch.randn(1, 6, length)
        mask = torch.ones(1, 1, length, dtype=torch.bool)
        query, key, value = (part(feats)[0] for part in (layer.query, layer.key, layer.value))
        read = torch.stack([sum((query[:, i] @ key[:, j]) * value[:, j] for j in range(length)) for i in range(length)])
        expected = layer.norm(layer.out(read.T[None] / length)) + feats
        torch.testing.assert_close(layer(feats, mask), expected, atol=1e-5, rtol=1e-5)


def test_attention_has_no_effect_at_the_start():
    layer, feats = _model().temporal.non_local.eval(), torch.randn(1, 4, 5)
    torch.testing.assert_close(layer(feats, torch.ones(1, 1, 5, dtype=torch.bool)), feats)


def test_dropout_hides_magnitudes_in_training():
    model = _model().train()
    torch.manual_seed(3)
    places = torch.stack(
        [model._choose(torch.arange(1.0, 33)[None], torch.ones(1, 32, dtype=torch.bool)) for _ in range(50)]
    )
    assert places.unique().numel() > 10  # without dropout, only the last three would be chosen
    assert model.eval()._choose(torch.arange(1.0, 33)[None], torch.ones(1, 32, dtype=torch.bool)).tolist() == [
        [31, 30, 29]
    ]


def test_training_separates_videos_and_predicts_frames():
    model = _model(dropout=0.2, margin=10.0)
    feats, samples = 0.3 * features(8), _samples(0, 0, 0, 0, 1, 2, -1, 3)
    feats[4:, :, 3:6, :4] += 2.0
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        terms = model(feats, samples, mode='loss')
        sum(terms.values()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    with torch.no_grad():
        predicted = model.eval()(feats, samples, mode='predict')
    scores = torch.stack([s.pred_scores for s in predicted])
    assert scores.shape == (8, LENGTH * 16)
    assert scores[4:, 48:96].mean() > scores[:4].max()
    torch.testing.assert_close(predicted[0].pred_logits.sigmoid(), predicted[0].pred_scores)


def test_checkpoints_of_the_authors_load():
    model = _model()
    own = model.state_dict()
    theirs = {}
    for number, part in enumerate(('dilated.0', 'dilated.1', 'dilated.2', None, 'fuse'), 1):
        for name, value in own.items():
            if part and name.startswith(f'temporal.{part}.'):
                tail = name.removeprefix(f'temporal.{part}.').replace('conv', '0').replace('norm', '2')
                theirs[f'Aggregate.conv_{number}.{tail}'] = value
    theirs['Aggregate.conv_4.0.weight'] = own['temporal.reduce.weight']
    for old, new in (('theta', 'query'), ('phi', 'key'), ('g', 'value'), ('W.0', 'out'), ('W.1', 'norm')):
        prefix = f'temporal.non_local.{new}.'
        theirs |= {
            f'Aggregate.non_local.{old}.{n.removeprefix(prefix)}': v for n, v in own.items() if n.startswith(prefix)
        }
    theirs |= {name: value for name, value in own.items() if name.startswith('fc')}
    assert len(theirs) == len(own)
    found = model.from_public(theirs)
    assert all(found[name] is value for name, value in own.items())
    assert model.from_public({'fc1.weight': own['fc1.weight']}) is None


def test_invalid_inputs_are_rejected():
    with pytest.raises(ConfigError, match='feature_dim=12 must be a multiple of 8'):
        _model(feature_dim=12)
    with pytest.raises(ConfigError, match='topk must be >= 1, not 0'):
        _model(topk=0)
    with pytest.raises(ConfigError, match='RTFM compares.*holds 3 and 1.*BalancedBatchSampler'):
        _model()(features(), _samples(0, 1, 0, 0), mode='loss')
