import math

import pytest
import torch
import torch.nn.functional as F

from vadlab.models.layers.local_global_adapter import GraphConvolution, LocalGlobalAdapter
from vadlab.utils.errors import ConfigError


def _adapter(**options):
    torch.manual_seed(0)
    adapter = LocalGlobalAdapter(**(dict(width=8, length=16, window=4, layers=2, heads=2) | options))
    with torch.no_grad():
        adapter.positional_embedding.mul_(50)
    return adapter


def _features(lengths, length=16, width=8):
    generator = torch.Generator().manual_seed(1)
    shape = (len(lengths), length, width)
    feats = torch.randn(len(lengths), 1, width, generator=generator) + torch.randn(shape, generator=generator)
    return feats * (torch.arange(length) < torch.tensor(lengths)[:, None])[..., None]


def _every_window(adapter, feats):
    """Reference: all windows of all videos through the transformer, including padding."""
    windows = (feats + adapter.positional_embedding).reshape(-1, adapter.window, feats.shape[-1])
    for block in adapter.blocks:
        windows = block(windows)
    return windows.view(feats.shape)


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('lengths', [[16, 3, 9], [3, 1], [16, 13], [8]])
def test_shortcuts_equal_full_blocks_over_every_window(lengths, heads):
    adapter, plain = _adapter(heads=heads), _adapter(heads=heads)
    for model in (adapter, plain):  # biases start at zero
        torch.manual_seed(3)
        with torch.no_grad():
            for block in model.blocks:
                block.qkv.bias.normal_()
                block.out.bias.normal_()
    feats = _features(lengths)
    plain._within_windows = lambda x, n: _every_window(plain, x)
    ours, expected = adapter(feats, lengths), plain(feats, lengths)
    torch.testing.assert_close(ours, expected)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))
    (ours * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, p), q in zip(adapter.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f'{n}: {m}')


def test_the_transformer_runs_on_real_windows_and_once_per_padding_window():
    adapter = _adapter()
    shapes = []
    adapter.blocks[0].register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape)))
    adapter(_features([5, 16, 9]), [5, 16, 9])
    adapter(_features([16, 14]), [16, 14])
    assert shapes == [(2 + 4 + 3 + 2, 4, 8), (8, 4, 8)]


def test_windows_are_independent():
    adapter = _adapter()
    feats = _features([16])
    changed = feats.clone()
    changed[0, 4:8] += 1
    a, b = (adapter._within_windows(x, [16])[0] for x in (feats, changed))
    same = (a == b).all(1)
    assert same.tolist() == [True] * 4 + [False] * 4 + [True] * 8


def test_similarity_equals_a_softmax_for_each_video_by_itself():
    adapter = _adapter()
    feats, lengths = _features([16, 6, 1]), [16, 6, 1]
    graph = adapter.similarity(feats, lengths)
    for i, n in enumerate(lengths):
        real = F.normalize(feats[i, :n], dim=-1)
        cosines = real @ real.T
        expected = torch.where(cosines > 0.7, cosines, 0.0).softmax(1)
        torch.testing.assert_close(graph[i, :n, :n], expected)
        assert graph[i, n:].abs().sum() == graph[i, :, n:].abs().sum() == 0
    assert (graph[0] > 1 / 16).any()  # some snippets are similar to others
    assert ((F.normalize(feats[0], dim=-1) @ F.normalize(feats[0], dim=-1).T > 0.7).sum() > 16).item()


def test_zero_features_have_no_neighbours_and_no_nan():
    graph = _adapter().similarity(torch.zeros(1, 16, 8), [5])
    torch.testing.assert_close(graph[0, :5, :5], torch.full((5, 5), 0.2))


def test_nearness_decreases_by_e_every_e_positions():
    nearness = _adapter().nearness
    assert nearness[3, 3] == 1
    assert nearness[2, 7].item() == pytest.approx(math.exp(-5 / math.e))


def test_graph_convolution_by_hand():
    layer = GraphConvolution(2, 2)
    with torch.no_grad():
        layer.weight.weight.copy_(torch.tensor([[1.0, 0], [1, 1]]))
    x = torch.tensor([[[1.0, 2], [3, 4]]])
    graph = torch.tensor([[0.0, 1], [0.5, 0]])
    torch.testing.assert_close(layer(x, graph), torch.tensor([[[1.0 + 3, 2 + 7], [3 + 0.5, 4 + 1.5]]]))


@pytest.mark.parametrize(('options', 'message'), [(dict(window=5), 'window=5 does not'), (dict(width=7), 'width=7')])
def test_sizes_that_do_not_fit_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        LocalGlobalAdapter(**(dict(width=8, length=16, window=4, heads=1) | options))
