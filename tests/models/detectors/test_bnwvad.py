import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.bnwvad import BNWVAD
from vadlab.utils.errors import CheckpointError, ConfigError

from .fixed_snippets import fill, samples, scattered_features

TINY = dict(feature_dim=6, embed_dim=16, layers=1, heads=2, head_dim=4, mlp_dim=8, hidden_dims=(4, 3))


def _fill(model):
    fill(model, is_one=lambda name: 'norm' in name and name.endswith(('weight', 'running_var')))


def features(b=4, c=2, t=20, d=6):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=20)


def _model(**options):
    torch.manual_seed(0)
    return BNWVAD(**{**TINY, 'data_preprocessor': BaseDataPreprocessor(), **options})


# Results of the authors' code (commit 4fa3a5d) for these weights and features.
AUTHORS_LOSSES = {'loss_normal': 2.060797, 'loss_mpp': 22.59836}
AUTHORS_SCORES = [37.631207, 25.297478, 35.041294, 31.469467, 29.723522]


def test_losses_and_scores_equal_those_of_the_authors_code():
    model = BNWVAD(feature_dim=6, data_preprocessor=BaseDataPreprocessor()).train()
    _fill(model)
    with torch.no_grad():
        losses = model(features()[:, :1], _samples(0, 0, 1, 3), mode='loss')
        assert {name: value.item() for name, value in losses.items()} == pytest.approx(AUTHORS_LOSSES, rel=1e-5)
        odds_bt = model.eval()(features()[:, :1])['odds']  # with the running statistics after this step
    assert odds_bt[2, ::4].tolist() == pytest.approx(AUTHORS_SCORES, rel=1e-5)


def _with_hidden(model, monkeypatch, hidden, logits):
    """The model with given hidden layers (both the same) of one channel, mean 0, variance 1."""
    for norm in (model.norm1, model.norm2):
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
    monkeypatch.setattr(model, '_run', lambda *_: ((hidden[:, None], hidden[:, None]), logits))


def test_loss_terms_by_hand(monkeypatch):
    model = _model(hidden_dims=(1, 1), video_ratio=0.5, batch_ratio=0.25, triplet_weights=(1.0, 2.0))
    hidden = torch.tensor([[0.1, -0.2, 0.3, 0.4], [0.5, 0.6, 0.7, -0.8], [9.0, -8.0, 3.0, 1.0], [2.0, 1.0, 4.0, -0.5]])
    logits = torch.full((4, 4), -30.0)
    logits[0, 0] = logits[1, 2] = 30.0
    logits[0, 1] = 30.0
    _with_hidden(model, monkeypatch, hidden, logits)
    terms = model(torch.zeros(4, 1, 4, 6), _samples(0, 0, 1, 2, lengths=[4] * 4), mode='loss')
    # Of each abnormal video the two farthest: 9, 8 and 2, 4; of both the two farthest, 9 and 8. In order of time.
    # Three of each normal video, the farthest of every video first: 0.4, 0.8, 0.3, 0.7; as many as abnormal ones.
    pairs = [(0.4, 9.0), (0.8, 8.0), (0.3, 2.0), (0.7, 4.0)]
    triplet = sum(max(1 + near - far, 0) for near, far in pairs) / 4
    assert terms['loss_mpp'].item() == pytest.approx(3 * triplet)
    assert terms['loss_normal'].item() == pytest.approx((math.sqrt(2) + 1) / 2)


def test_the_batch_chooses_more_of_a_video_with_more_abnormal_snippets(monkeypatch):
    model = _model(video_ratio=0.25, batch_ratio=0.5)
    distances = torch.tensor([[5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0]])
    chosen = model._choose_abnormal(distances, torch.ones(2, 4, dtype=torch.bool))
    assert chosen.tolist() == [[True] * 4, [False, False, False, True]]


def test_padding_is_never_chosen(monkeypatch):
    model = _model(hidden_dims=(1, 1), video_ratio=0.5, batch_ratio=0.0, triplet_weights=(1.0, 0.0))
    hidden = torch.tensor([[0.1, 0.2, 50.0, 50.0], [3.0, 2.0, 50.0, 50.0]])
    _with_hidden(model, monkeypatch, hidden, torch.zeros(2, 4))
    terms = model(torch.zeros(2, 1, 4, 6), _samples(0, 1, lengths=[2, 2]), mode='loss')
    # One snippet by the video and one by the batch, the same; the farthest normal one is 0.2.
    assert terms['loss_mpp'].item() == pytest.approx(max(1 + 0.2 - 3.0, 0))
    assert terms['loss_normal'].item() == pytest.approx(math.sqrt(2) / 2)


def test_padding_changes_no_score():
    model = _model().eval()
    _fill(model)
    feats = features()
    with torch.no_grad():
        both = model(F.pad(feats[:2], (0, 0, 0, 9), value=7.0), _samples(0, 1, lengths=[20, 6]), mode='predict')
        alone = model(feats[1:2, :, :6], _samples(1, lengths=[6]), mode='predict')
    torch.testing.assert_close(both[1].pred_logits, alone[0].pred_logits)


def test_scores_are_the_mean_of_the_crops_as_odds():
    model = _model().eval()
    _fill(model)
    feats = features(1, 3)
    with torch.no_grad():
        odds = model(feats)['odds']
        (sample,) = model(feats, _samples(1), mode='predict')
    mean = odds.mean(0)
    torch.testing.assert_close(sample.pred_scores[::16], mean / (1 + mean))
    torch.testing.assert_close(sample.pred_logits[::16].exp(), mean)


def test_training_separates_videos():
    model = _model()
    torch.manual_seed(1)
    inputs = torch.randn(8, 1, 20, 6)
    inputs[4:, :, 5:9, 0] += 6.0  # an event in every abnormal video
    samples = _samples(*[0] * 4, *[3] * 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        losses = model(inputs, samples, mode='loss')
        sum(losses.values()).backward()
        optimizer.step()
    predicted = model.eval()(inputs, samples, mode='predict')
    event = torch.stack([sample.pred_scores.view(20, 16).mean(1) for sample in predicted[4:]])
    quiet = torch.stack([sample.pred_scores.view(20, 16).mean(1) for sample in predicted[:4]])
    assert event[:, 5:9].min() > quiet.max()


def test_the_authors_checkpoint_loads_under_our_names():
    model = _model()
    own = model.state_dict()
    heads = {'hidden1': 'conv1', 'hidden2': 'conv2', 'norm1': 'bn1', 'norm2': 'bn2', 'classifier': 'conv3'}
    blocks = {
        'norm1': '0.norm',
        'qkvl': '0.fn.to_qkv',
        'out': '0.fn.to_out.0',
        'norm2': '1.norm',
        'mlp.0': '1.fn.net.0',
        'mlp.3': '1.fn.net.3',
    }
    theirs = {}
    for name, tensor in own.items():
        layer, _, kind = name.rpartition('.')
        if layer in heads:
            old = f'normal_head.{heads[layer]}'
        elif layer == 'embedding':
            old = 'embedding.conv_1.0'
        else:
            _, number, part = layer.split('.', 2)
            old = f'selfatt.layers.{number}.{blocks[part]}'
        theirs[f'{old}.{kind}'] = tensor
    found = model.from_public(theirs)
    assert {name: tensor.data_ptr() for name, tensor in found.items()} == {n: t.data_ptr() for n, t in own.items()}
    assert model.from_public(own) is None
    with pytest.raises(CheckpointError, match=r'BN-WVAD.* 1 tensors .*: Amemory\.memory_block'):
        model.from_public({**theirs, 'Amemory.memory_block': torch.zeros(1)})


def test_invalid_inputs_are_rejected():
    with pytest.raises(ConfigError, match=r'video_ratio=1\.5'):
        _model(video_ratio=1.5)
    with pytest.raises(ConfigError, match='BalancedBatchSampler'):
        _model()(features(), _samples(0, 1, 1, 1), mode='loss')
