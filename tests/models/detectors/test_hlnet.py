import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors import hlnet
from vadlab.models.detectors.hlnet import GraphLayer, HLNet, relation
from vadlab.utils.errors import CheckpointError

from .fixed_snippets import samples, scattered, scattered_features


def fill(model):
    """Reproducible weights: sines at scattered arguments, with the scale of random weights."""
    with torch.no_grad():
        for i, (_, p) in enumerate(sorted(model.named_parameters())):
            wave = scattered(p, i)
            p.copy_(wave * 1.2 * (p[0].numel() if p.dim() > 1 else 16) ** -0.5)


def features(b=4, c=2, t=20, d=8):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=20)


def _model(**options):
    torch.manual_seed(0)
    settings = dict(feature_dim=8, hidden_dims=(16, 8), graph_dim=4, data_preprocessor=BaseDataPreprocessor())
    return HLNet(**{**settings, **options})


# Results of the authors' code (commit f846d8c) for these weights and features.
AUTHORS_LOSSES = {'loss_mil': 0.7405269, 'loss_online': 0.6890141, 'loss_distill': 1.7433593}
AUTHORS_SCORES = [0.6252170, 0.4554732, 0.2569353, 0.4099891, 0.5130966]
AUTHORS_ONLINE = [0.5055548, 0.4282527, 0.4278336, 0.4383620, 0.4349998]


def test_losses_and_scores_equal_those_of_the_authors_code():
    model = HLNet(feature_dim=8, data_preprocessor=BaseDataPreprocessor()).eval()
    fill(model)
    feats = features()[:, :1]
    with torch.no_grad():
        losses = model(feats, _samples(0, 0, 1, 3), mode='loss')
        assert {name: value.item() for name, value in losses.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)
        scores_bt = model(feats)['scores']
        model.online = True
        online_bt = model(feats)['scores']
    assert scores_bt[2, ::4].tolist() == pytest.approx(AUTHORS_SCORES, abs=1e-6)
    assert online_bt[2, ::4].tolist() == pytest.approx(AUTHORS_ONLINE, abs=1e-6)


def test_relation_by_hand():
    mask = torch.tensor([[True, True, False]])
    weights = torch.tensor([[[0.0, math.log(3.0), 9.0], [0.0, 0.0, 9.0], [0.0, 0.0, 9.0]]])
    values = torch.tensor([[[4.0], [8.0], [100.0]]])  # the last is padding
    related = relation(lambda rows: weights[:, rows], mask)(values)
    assert related[0, :2, 0].tolist() == pytest.approx([(4 + 3 * 8) / 4, 6.0])


def test_graph_layer_by_hand():
    layer = GraphLayer(2, 2)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, 10.0]])
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    out = layer(x, lambda values: values.sum(1, keepdim=True).expand_as(values))
    assert out.tolist() == [[[4.0 + 1, 60.0 + 2], [4.0 + 3, 60.0 + 4]]]


def test_long_videos_in_parts_get_the_same_scores(monkeypatch):
    model = _model().eval()
    fill(model)
    feats = features(1, 2, 50)
    with torch.no_grad():
        whole = model(feats)['logits']
        monkeypatch.setattr(hlnet, 'ROWS', 16)
        torch.testing.assert_close(model(feats)['logits'], whole)


def test_online_scores_depend_on_five_snippets_alone():
    model = _model(online=True).eval()
    fill(model)
    feats = features(1, 1)
    changed = feats.clone()
    changed[:, :, 10] += 1
    with torch.no_grad():
        differs = (model(feats)['logits'] != model(changed)['logits'])[0].nonzero().flatten().tolist()
    assert differs == [10, 11, 12, 13, 14]


def test_loss_terms_by_hand_for_one_pair_of_videos(monkeypatch):
    model = _model(distill_weight=2.0)
    logits = torch.tensor([[0.0, 1.0, 50.0], [2.0, -1.0, 0.0]])  # the last of the first is padding
    online = torch.tensor([[-1.0, 0.5, 50.0], [0.0, 3.0, 1.0]])
    monkeypatch.setattr(model, '_run', lambda *_: (logits, online))
    terms = model(torch.zeros(2, 1, 3, 8), _samples(0, 1, lengths=[2, 3]), mode='loss')
    assert terms['loss_mil'].item() == pytest.approx((math.log1p(math.e) + math.log1p(math.exp(-2))) / 2)
    assert terms['loss_online'].item() == pytest.approx((math.log1p(math.exp(0.5)) + math.log1p(math.exp(-3))) / 2)

    def term(logit, online):
        return math.log1p(math.exp(-online)) / (1 + math.exp(-logit))

    first = (term(0, -1) + term(1, 0.5)) / 2
    second = (term(2, 0) + term(-1, 3) + term(0, 1)) / 3
    assert terms['loss_distill'].item() == pytest.approx(2 * (first + second) / 2)


def test_padding_and_its_values_change_neither_scores_nor_losses():
    model = _model().eval()
    fill(model)
    feats = features()
    with torch.no_grad():
        expected = model(feats, _samples(0, 0, 1, 1), mode='loss')
        padded = F.pad(feats, (0, 0, 0, 9), value=7.0)
        losses = model(padded, _samples(0, 0, 1, 1), mode='loss')
        alone = model(feats[1:2, :, :6], _samples(1, lengths=[6]), mode='predict')[0]
        both = model(feats[:2], _samples(0, 1, lengths=[20, 6]), mode='predict')[1]
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    torch.testing.assert_close(both.pred_logits, alone.pred_logits)


def test_loss_reaches_every_parameter_and_training_separates_videos():
    model = _model(dropout=0.0)
    torch.manual_seed(1)
    inputs = torch.randn(8, 1, 20, 8)
    inputs[4:, :, 5:9, 0] += 6.0  # an event in every abnormal video
    samples = _samples(*[0] * 4, *[3] * 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(80):
        optimizer.zero_grad()
        losses = model(inputs, samples, mode='loss')
        sum(losses.values()).backward()
        if not step:
            assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
        optimizer.step()
    predicted = model.eval()(inputs, samples, mode='predict')
    event = predicted[5].pred_scores.view(20, 16).mean(1)
    assert event[5:9].min() > 0.7
    assert predicted[0].pred_scores.max() < 0.3


def test_the_authors_checkpoint_loads_under_our_names():
    model = _model()
    theirs = {}
    for old, layer in (
        ('conv1d1', model.fc1),
        ('conv1d2', model.fc2),
        ('approximator.0', model.causal[0]),
        ('approximator.2', model.causal[2]),
        ('conv1d_approximator', model.online_head),
        ('gc1.residual', model.holistic[0].residual),
        ('gc3.residual', model.localized[0].residual),
        ('gc5.residual', model.by_score[0].residual),
        ('classifier', model.classifier),
    ):
        theirs |= {f'{old}.weight': layer.weight, f'{old}.bias': layer.bias}
    layers = [*model.holistic, *model.localized, *model.by_score]
    theirs |= {f'gc{i + 1}.weight': layer.weight for i, layer in enumerate(layers)}
    unused = ('conv1d3.weight', 'conv1d4.bias', 'simAdj.weight0', 'simAdj.weight1', 'disAdj.sigma')
    ours = model.from_public({**theirs, **{name: torch.zeros(1) for name in unused}})
    assert {name: t.data_ptr() for name, t in ours.items()} == {n: p.data_ptr() for n, p in model.named_parameters()}
    assert model.from_public(model.state_dict()) is None
    with pytest.raises(CheckpointError, match=r'XDVioDet.* 1 tensors .*: gc7\.weight'):
        model.from_public({**theirs, 'gc7.weight': torch.zeros(1)})
