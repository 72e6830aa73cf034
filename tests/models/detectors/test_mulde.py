import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError


def build(**options):
    torch.manual_seed(0)
    settings = dict(type='MULDE', feature_dim=2, units=(32,), sigma_low=0.05, num_scales=4, num_components=2)
    preprocessor = dict(type='vadlab.SnippetDataPreprocessor')
    return MODELS.build({**settings, 'data_preprocessor': MODELS.build(preprocessor), **options})


def batch(*labels, length=6, spread=1.0):
    generator = torch.Generator().manual_seed(len(labels))
    inputs = [torch.randn(1, length, 2, generator=generator) * spread + 3 for _ in labels]
    samples = [
        VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=length), gt_label=label)
        for i, label in enumerate(labels)
    ]
    return dict(inputs=inputs, data_samples=samples)


def normal_snippets(batches):
    return torch.cat(
        [x[0] for b in batches for x, s in zip(b['inputs'], b['data_samples'], strict=True) if s.gt_label == 0]
    )


def test_features_are_measured_on_normal_videos_only_and_by_an_independent_formula():
    model, batches = build(), [batch(0, 1), batch(0, 0, 1, spread=2.0)]
    assert not model.is_prepared
    assert model.prepare(batches) == 18
    snippets = normal_snippets(batches)
    torch.testing.assert_close(model.feature_mean, snippets.mean(0))
    torch.testing.assert_close(model.feature_std, snippets.std(0, correction=0))
    assert model.is_prepared


def test_a_constant_feature_is_not_divided_by_zero():
    model, one = build(), batch(0)
    one['inputs'][0][..., 1] = 7
    model.prepare([one])
    assert model.feature_std[1] == 1


def test_loss_is_that_of_the_normal_videos():
    model = build()
    model.prepare([batch(0, 1)])
    data = model.data_preprocessor(batch(0, 1), True)
    torch.manual_seed(1)
    both = model(**data, mode='loss')
    torch.manual_seed(1)
    alone = model(data['inputs'][:1], data['data_samples'][:1], mode='loss')
    assert {k: v.item() for k, v in both.items()} == {k: v.item() for k, v in alone.items()}
    assert set(both) == {'loss_dsm', 'loss_regular'}


def test_regularisation_by_hand():
    model = build(regular_weight=0.5)
    data = model.data_preprocessor(batch(0), True)
    torch.manual_seed(1)
    found = model(**data, mode='loss')['loss_regular'].item()
    torch.manual_seed(1)
    snippets = data['inputs'][0, 0]
    values = model.density(snippets, model.density.draw_scales(snippets))
    assert found == pytest.approx(0.5 * values.square().mean().item() / 2)


@pytest.mark.parametrize('aggregate', ['gmm', 'max', 'median', 'mean'])
def test_total_of_the_scales_by_an_independent_formula(aggregate):
    model, batches = build(aggregate=aggregate), [batch(0, 0, 0), batch(0, 1)]
    model.prepare(batches)
    model.calibrate(batches)
    snippets, other = normal_snippets(batches), batch(0, length=5, spread=3.0)
    model.eval()
    with torch.no_grad():
        trained, tested = (
            model.density.at_scales((x - model.feature_mean) / model.feature_std, 4).double().numpy()
            for x in (snippets, other['inputs'][0][0])
        )
    if aggregate == 'gmm':
        peer = SklearnMixture(2, random_state=0).fit(trained)
        train_total, total = -peer.score_samples(trained), -peer.score_samples(tested)
    else:
        standard = [(x - trained.mean(0)) / trained.std(0) for x in (trained, tested)]
        # torch's median of an even number is the lower middle one
        rules = {'max': lambda x: x.max(1), 'mean': lambda x: x.mean(1), 'median': lambda x: sorted_column(x, 1)}
        train_total, total = (rules[aggregate](x) for x in standard)
    with torch.no_grad():
        (sample,) = model(**model.data_preprocessor(other, False), mode='predict')
    expected = (total - train_total.mean()) / train_total.std()
    assert sample.pred_logits[::16].tolist() == pytest.approx(expected.tolist(), rel=2e-3, abs=2e-3)
    torch.testing.assert_close(sample.pred_scores, torch.sigmoid(sample.pred_logits - 3))


def sorted_column(values, index):
    values.sort(axis=1)
    return values[:, index]


def test_what_lies_far_from_training_scores_higher():
    model, batches = build(), [batch(*[0] * 20)]
    model.prepare(batches)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.5, 0.9))
    data = model.data_preprocessor(batches[0], True)
    for _ in range(150):
        optimizer.zero_grad()
        sum(model(**data, mode='loss').values()).backward()
        optimizer.step()
    model.eval()
    model.calibrate(batches)
    with torch.no_grad():
        logits = model(torch.tensor([[[[3.0, 3.0], [8.0, 3.0]]]]), mode='tensor')['logits']
    assert logits[0, 0] < 1
    assert logits[0, 1] > 3


def test_state_of_preparation_and_calibration_is_in_checkpoints():
    model, batches = build(), [batch(0, 0)]
    model.prepare(batches)
    model.calibrate(batches)
    other = build()
    other.load_state_dict(model.state_dict())
    assert other.is_prepared
    feats = torch.randn(1, 1, 3, 2)
    assert torch.equal(model.eval()(feats)['logits'], other.eval()(feats)['logits'])


def test_a_batch_without_normal_videos_is_refused():
    model = build()
    with pytest.raises(ConfigError, match='batch has none'):
        model(**model.data_preprocessor(batch(1, 1), True), mode='loss')


@pytest.mark.parametrize(
    'options', [dict(aggregate='sum'), dict(sigma_low=2.0), dict(num_scales=0), dict(regular_weight=-1.0)]
)
def test_options_that_cannot_be_used_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options)) + '=?'):
        build(**options)
