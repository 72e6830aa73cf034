import math
from functools import partial

import pytest
import torch
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.mgfn import MGFN, ChannelNorm, Focus
from vadlab.utils.errors import CheckpointError, ConfigError

from .fixed_snippets import fill, samples, scattered_features

TINY = dict(feature_dim=6, dims=(8, 8, 16), depths=(1, 1, 1), head_dim=4)


def _fill(model):
    fill(
        model,
        is_one=lambda name: 'norm.weight' in name or name.endswith(('.g', 'running_var')),
        is_flat=lambda name: name.endswith(('.g', '.b')),
    )


def features(b=4, c=2, t=12, d=6):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=12)


def _model(**options):
    torch.manual_seed(0)
    return MGFN(**{**TINY, 'data_preprocessor': BaseDataPreprocessor(), **options})


# Results of the authors' code (commit 98e9389) for these weights and features, with its constants 2048 and 10 of
# channels and crops replaced by 6 and 2. loss_main is loss_score + loss_contrast + loss_alike.
AUTHORS_LOSSES = {'loss_main': 0.9025808, 'loss_sparsity': 0.01332069, 'loss_smoothness': 0.0007805309}
AUTHORS_SCORES = [0.4243753, 0.2919396, 0.0611079]


def test_losses_and_scores_equal_those_of_the_authors_code():
    model = _model(dims=(64, 64, 128), depths=(1, 1, 1), head_dim=64).eval()  # dropout would need their random draws
    _fill(model)
    with torch.no_grad():
        terms = model(features(), _samples(0, 0, 2, -1), mode='loss')
        scores = model(features())['scores'].unflatten(0, (4, 2)).mean(1)
    terms['loss_main'] = terms.pop('loss_score') + terms.pop('loss_contrast') + terms.pop('loss_alike')
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)
    assert scores[1, [0, 5, 11]].tolist() == pytest.approx(AUTHORS_SCORES, abs=1e-6)


def test_terms_by_hand_for_one_pair_of_videos(monkeypatch):
    weights = dict(contrast_weight=1.0, alike_weight=1.0, sparsity_weight=1.0, smoothness_weight=1.0)
    model = _model(topk=1, margin=10.0, **weights).eval()
    x = torch.zeros(4, 3, 2)  # rows: normal crop 0, 1; abnormal crop 0, 1
    x[..., 0] = torch.tensor([[1.0, 5.0, 2.0], [1.0, 3.0, 0.0], [4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
    x[0, 1, 1] = -2.0  # L1 norm 7
    probabilities = torch.tensor([[0.1, 0.2, 0.3]] * 2 + [[0.8, 0.4, 0.5]] * 2)
    monkeypatch.setattr(model, '_run', lambda *_: (x, torch.logit(probabilities)))
    terms = model(torch.zeros(2, 2, 3, 6), _samples(0, 1, lengths=[3, 3]), mode='loss')
    assert terms['loss_score'].item() == pytest.approx(-math.log(0.8))  # snippet 1 of normal, 0 of abnormal
    # L1 norms of the crops: normal 7 and 3, abnormal 4 and 6.
    contrast = ((10 - abs(4 - 7)) ** 2 + (10 - abs(6 - 3)) ** 2) / 2
    assert terms['loss_contrast'].item() == pytest.approx(contrast, rel=1e-4)
    assert terms['loss_alike'].item() == pytest.approx((7 - 3) ** 2 + (4 - 6) ** 2, rel=1e-4)
    assert terms['loss_sparsity'].item() == pytest.approx(math.sqrt(0.01 + 0.04 + 0.09))
    assert terms['loss_smoothness'].item() == pytest.approx(0.01 + 0.01 + 0.16 + 0.01)


def test_channel_norm_by_hand():
    norm = ChannelNorm(2, eps=1.0)
    norm.g.data[0, 1] = 3.0
    norm.b.data[0, 0] = 0.5
    out = norm(torch.tensor([[[1.0], [5.0]]]))  # mean 3, deviation 2
    assert out.flatten().tolist() == pytest.approx([-2 / 3 + 0.5, 2 / 3 * 3])


def test_channels_of_a_head_share_their_weights_over_time():
    focus = Focus(4, heads=2, kernel_size=3).eval()
    focus.value.weight.data = torch.eye(4)[..., None]
    focus.out.weight.data, focus.out.bias.data = torch.eye(4)[..., None], torch.zeros(4)
    focus.nearby.weight.data = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 2.0]]])  # before; twice the one after
    focus.nearby.bias.data.zero_()
    x = torch.arange(1.0, 13.0).view(1, 4, 3)
    out = focus(x, torch.ones(1, 1, 3, dtype=torch.bool)) * (1 + 1e-5) ** 0.5
    expected = [[0, 1, 2], [10, 12, 0], [0, 7, 8], [22, 24, 0]]  # channels 0 and 2 are of head 0, 1 and 3 of head 1
    torch.testing.assert_close(out, torch.tensor([expected]).float())


@pytest.mark.parametrize('length', [1, 3, 12])
def test_padding_and_its_values_change_no_score(length):
    model = _model().eval()
    _fill(model)
    feats = features(2)
    padded = feats.clone()
    padded[1, :, length:] = 7.0
    with torch.no_grad():
        together = model(padded, _samples(0, 1, lengths=[12, length]))['scores'][2:, :length]
        alone = model(feats[1:, :, :length])['scores']
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_only_real_snippets_are_chosen(monkeypatch):
    model = _model(topk=2, margin=10.0, contrast_weight=1.0).eval()
    x = torch.zeros(2, 4, 2)
    x[..., 0] = torch.tensor([1.0, 2.0, 9.0, 9.0])
    monkeypatch.setattr(model, '_run', lambda *_: (x, torch.zeros(2, 4)))
    terms = model(torch.zeros(2, 1, 4, 6), _samples(0, 1, lengths=[2, 2]), mode='loss')
    assert terms['loss_contrast'].item() == pytest.approx(100, rel=1e-4)
    assert terms['loss_alike'].item() == 0  # one crop of one video of each kind


def test_loss_reaches_every_parameter_and_training_separates_videos():
    model = _model(dropout=0.2, margin=20.0)
    torch.manual_seed(1)
    feats, samples = torch.randn(8, 2, 12, 6), _samples(0, 0, 0, 0, 1, 2, -1, 3)
    feats[4:, :, 3:6, :2] += 3.0
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(40):
        optimizer.zero_grad()
        terms = model(feats, samples, mode='loss')
        sum(terms.values()).backward()
        if not step:
            assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    with torch.no_grad():
        predicted = model.eval()(feats, samples, mode='predict')
    scores = torch.stack([s.pred_scores for s in predicted])
    assert scores[4:, 48:96].mean() > scores[:4].max()


def test_the_authors_checkpoint_loads_under_our_names():
    model = _model()
    own = model.state_dict()
    parts = {'conv': '0', 'mixer.norm': '1.norm', 'mixer.qkv': '1.to_qkv', 'mixer.value': '1.to_v'}
    parts |= {'mixer.nearby': '1.rel_pos', 'mixer.out': '1.to_out'} | {f'mlp.{i}': f'2.{i}' for i in (0, 1, 4)}
    whole = {'to_magnitudes': 'to_mag', 'norm': 'to_logits.0', 'classifier': 'fc', 'to_tokens': 'to_tokens'}
    theirs = {}
    for name, tensor in own.items():
        layer, _, kind = name.rpartition('.')
        if layer.startswith('stages.'):
            _, stage, block, part = layer.split('.', 3)
            layer = f'stages.{stage}.0.layers.{block}.{parts[part]}'
        elif layer.startswith('transitions.'):
            _, stage, part = layer.split('.')
            layer = f'stages.{stage}.1.{part}'
        else:
            layer = whole[layer]
        theirs[f'{layer}.{kind}'] = tensor
    found = model.from_public(theirs)
    assert {name: tensor.data_ptr() for name, tensor in found.items()} == {n: t.data_ptr() for n, t in own.items()}
    assert model.from_public(own) is None
    with pytest.raises(CheckpointError, match=r'MGFN.* 1 tensors .*: stages\.0\.2\.weight'):
        model.from_public({**theirs, 'stages.0.2.weight': torch.zeros(1)})


def test_invalid_inputs_are_rejected():
    with pytest.raises(ConfigError, match='kinds be glance or focus'):
        _model(kinds=('glance', 'focus', 'glimpse'))
    with pytest.raises(ConfigError, match=r'dims=\(8, 8, 6\)'):
        _model(dims=(8, 8, 6))
    with pytest.raises(ConfigError, match='topk=0 must be at least 1'):
        _model(topk=0)
    with pytest.raises(ConfigError, match='BalancedBatchSampler'):
        _model()(features(), _samples(0, 1, 0, 0), mode='loss')
