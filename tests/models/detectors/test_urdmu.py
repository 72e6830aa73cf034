from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.urdmu import URDMU, MemoryUnit
from vadlab.utils.errors import CheckpointError, ConfigError

from .fixed_snippets import samples, scattered, scattered_features

TINY = dict(feature_dim=6, embed_dim=16, layers=2, heads=2, head_dim=4, mlp_dim=8, memory_slots=20)


def fill(model):
    """Reproducible weights: sines at scattered arguments, with the scale of random weights."""
    with torch.no_grad():
        for i, (name, p) in enumerate(sorted(model.named_parameters())):
            wave = scattered(p, i)
            scale = 0.2 if 'slots' in name else 2 * (p[0].numel() if p.dim() > 1 else 16) ** -0.5
            p.copy_(scale * wave + (1.0 if 'norm' in name and name.endswith('weight') else 0.0))


def features(b=4, c=2, t=20, d=6):
    return scattered_features(b, c, t, d)


_samples = partial(samples, length=20)


def fixed_noise(like):
    return torch.cos(torch.arange(like.numel(), dtype=torch.float64) * 0.91).to(like.dtype).view_as(like)


def _model(**options):
    torch.manual_seed(0)
    return URDMU(**{**TINY, 'data_preprocessor': BaseDataPreprocessor(), **options})


# Results of the authors' code (commit 40cfdf5, torch 2.13) for the weights, features and noise above, weighted.
AUTHORS_LOSSES = {
    1: {
        'loss_score': 2.888261,
        'loss_memory_normal': 0.02939498,
        'loss_memory_quiet': 0.1104866,
        'loss_memory_abnormal': 0.03443015,
        'loss_memory_missing': 0.1249411,
        'loss_triplet': 0.08844914,
        'loss_kl': 0.01242205,
        'loss_distance': 0.01075002,
    },
    2: {
        'loss_score': 1.979111,
        'loss_memory_normal': 0.03049457,
        'loss_memory_quiet': 0.1118178,
        'loss_memory_abnormal': 0.0352119,
        'loss_memory_missing': 0.1244453,
        'loss_triplet': 0.08629443,
        'loss_kl': 0.0123332,
        'loss_distance': 0.01015626,
    },
}
AUTHORS_SCORES = [0.4319998, 0.9446284, 0.8709663, 0.9266622, 0.8547097]


def test_losses_and_scores_equal_those_of_the_authors_code(monkeypatch):
    model = URDMU(
        feature_dim=6, data_preprocessor=BaseDataPreprocessor()
    ).eval()  # evaluation mode: dropout would need the authors' random draws
    fill(model)
    monkeypatch.setattr(torch, 'randn_like', fixed_noise)
    with torch.no_grad():
        for crops, expected in AUTHORS_LOSSES.items():
            losses = model(features()[:, :crops], _samples(0, 0, 1, 1), mode='loss')
            assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-5)
        scores_bt = model(features()[:, :1])['scores']
    assert scores_bt[2, ::4].tolist() == pytest.approx(AUTHORS_SCORES, abs=1e-6)


def test_loss_reaches_every_parameter_and_training_separates_videos():
    model = _model(dropout=0.0)
    inputs = torch.randn(8, 1, 20, 6)
    inputs[4:, :, 5:9, 0] += 6.0  # an event in every abnormal video
    samples = _samples(*[0] * 4, *[3] * 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = None
    for _ in range(60):
        optimizer.zero_grad()
        losses = model(inputs, samples, mode='loss')
        sum(losses.values()).backward()
        if first is None:
            first = losses['loss_score'].item()
            assert all(p.grad is not None for p in model.parameters())
            assert all(p.grad.abs().sum() > 0 for p in model.parameters())
        optimizer.step()
    assert losses['loss_score'].item() < 0.3 * first
    model.eval()
    predicted = model(inputs, samples, mode='predict')
    event = predicted[5].pred_scores.view(20, 16).mean(1)
    assert event[5:9].min() > 0.8
    assert predicted[0].pred_scores.max() < 0.3


def test_padding_and_its_values_change_no_score():
    model = _model().eval()
    short, long = torch.randn(1, 2, 7, 6), torch.randn(1, 2, 20, 6)
    padded = torch.full((2, 2, 20, 6), 1e3)  # random values, not zeros: only lengths define the padding
    padded[0, :, :7], padded[1] = short[0], long[0]
    with torch.no_grad():
        both = model(padded, _samples(1, 1, lengths=[7, 20]), mode='predict')
        alone = model(short, _samples(1, lengths=[7]), mode='predict') + model(long, _samples(1), mode='predict')
    for a, b in zip(both, alone, strict=True):
        torch.testing.assert_close(a.pred_logits, b.pred_logits)
        torch.testing.assert_close(a.pred_scores, b.pred_scores)


def test_padding_far_from_a_video_changes_no_score():
    """The weights of the local attention are 0 in float32 at 300 snippets: a short video in a batch with a long one."""
    model = _model().eval()
    short = torch.randn(1, 2, 5, 6)
    padded = F.pad(short, (0, 0, 0, 595))
    with torch.no_grad():
        alone = model.predict_snippets(short, torch.ones(1, 5, dtype=torch.bool))
        found = model.predict_snippets(padded, torch.arange(600)[None] < 5)
    for name, values in alone.items():
        torch.testing.assert_close(found[name][:, :5], values, atol=1e-5, rtol=1e-5)


def test_padding_and_the_order_of_the_batch_change_no_loss(monkeypatch):
    monkeypatch.setattr(torch, 'randn_like', torch.zeros_like)  # the shape of the noise depends on the padding
    model = _model().eval()
    inputs = torch.randn(4, 2, 20, 6)
    with torch.no_grad():
        expected = model(inputs, _samples(0, 0, 1, 1), mode='loss')
        padded = F.pad(inputs, (0, 0, 0, 45), value=7.0)[[2, 0, 3, 1]]
        losses = model(padded, _samples(1, 0, 1, 0), mode='loss')
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)


def test_noise_is_drawn_for_the_loss_and_never_for_scores():
    model = _model().eval()
    inputs, samples = torch.randn(2, 1, 20, 6), _samples(0, 1)
    with torch.no_grad():
        one, two = (model(inputs, samples, mode='loss') for _ in range(2))
        assert one['loss_distance'] != two['loss_distance']
        assert torch.equal(one['loss_kl'], two['loss_kl'])
        assert torch.equal(model(inputs)['scores'], model(inputs)['scores'])


def test_unequal_numbers_of_normal_and_abnormal_videos_name_the_sampler():
    with pytest.raises(ConfigError, match='BalancedBatchSampler'):
        _model()(torch.randn(3, 1, 20, 6), _samples(0, 1, 1), mode='loss')


def test_memory_equals_a_loop_over_slots():
    torch.manual_seed(0)
    memory = MemoryUnit(slots=33, dim=4)
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        hits, read = memory(x)
    slots = memory.slots.detach()
    for b in range(2):
        for t in range(3):
            likeness = [torch.sigmoid(x[b, t] @ slot / 2) for slot in slots]
            assert hits[b, t].item() == pytest.approx(sum(sorted(float(v) for v in likeness)[-3:]) / 3, rel=1e-5)
            torch.testing.assert_close(read[b, t], sum(v * s for v, s in zip(likeness, slots, strict=True)))


def test_the_authors_checkpoint_loads_under_our_names():
    model = _model()
    theirs = {
        'embedding.conv_1.0.weight': model.embedding.weight,
        'embedding.conv_1.0.bias': model.embedding.bias,
        'cls_head.mlp.0.weight': model.classifier[0].weight,
        'cls_head.mlp.0.bias': model.classifier[0].bias,
        'cls_head.mlp.2.weight': model.classifier[2].weight,
        'cls_head.mlp.2.bias': model.classifier[2].bias,
        'Amemory.memory_block': model.abnormal_memory.slots,
        'Nmemory.memory_block': model.normal_memory.slots,
        'encoder_mu.0.weight': model.latent_mean.weight,
        'encoder_mu.0.bias': model.latent_mean.bias,
        'encoder_var.0.weight': model.latent_log_var.weight,
        'encoder_var.0.bias': model.latent_log_var.bias,
    }
    for i, block in enumerate(model.blocks):
        attention, mlp = f'selfatt.layers.{i}.0', f'selfatt.layers.{i}.1'
        theirs[f'{attention}.fn.to_qkv.weight'] = block.qkvl.weight
        for old, layer in (
            (f'{attention}.norm', block.norm1),
            (f'{attention}.fn.to_out.0', block.out),
            (f'{mlp}.norm', block.norm2),
            (f'{mlp}.fn.net.0', block.mlp[0]),
            (f'{mlp}.fn.net.3', block.mlp[3]),
        ):
            theirs |= {f'{old}.weight': layer.weight, f'{old}.bias': layer.bias}
    ours = model.from_public(theirs)
    assert {name: t.data_ptr() for name, t in ours.items()} == {n: p.data_ptr() for n, p in model.named_parameters()}
    assert model.from_public(model.state_dict()) is None
    with pytest.raises(CheckpointError, match=r'UR-DMU.* 1 tensors .*: audio\.weight'):
        model.from_public({**theirs, 'audio.weight': torch.zeros(1)})
