import pytest
import torch

from vadlab.models.layers.chunks import map_chunks, pad_positions
from vadlab.utils.errors import ConfigError


def _record(calls):
    def forward(feats, lengths):
        calls.append((feats.clone(), list(lengths)))
        return feats * 2, feats.sum(-1)

    return forward


def test_chunks_are_joined_in_order_and_those_without_a_snippet_never_run():
    feats = torch.arange(2 * 10 * 3, dtype=torch.float32).view(2, 10, 3)
    mask = torch.arange(10) < torch.tensor([10, 3])[:, None]
    calls = []
    twice, sums = map_chunks(_record(calls), feats, mask, size=4)
    assert calls[0][1] == [4, 4, 2, 3]
    assert calls[0][0].shape == (4, 4, 3)
    expected = feats * mask[..., None]
    torch.testing.assert_close(twice, expected * 2)
    torch.testing.assert_close(sums, expected.sum(-1))


def test_padding_is_zeros_for_the_network():
    calls = []
    map_chunks(_record(calls), torch.full((1, 3, 2), 9.0), torch.tensor([[True, True, False]]), size=4)
    assert calls[0][0][0, :, 0].tolist() == [9, 9, 0, 0]


def test_a_long_video_runs_in_several_calls_of_bounded_size():
    calls = []
    map_chunks(_record(calls), torch.randn(1, 70, 2), torch.ones(1, 70, dtype=torch.bool), size=2)
    assert [len(lengths) for _, lengths in calls] == [32, 3]


def test_to_places_pads_with_zeros_and_false_and_rejects_longer_videos():
    assert pad_positions(torch.ones(2, 3, 4), 5, 'X')[0, :, 0].tolist() == [1, 1, 1, 0, 0]
    assert pad_positions(torch.ones(1, 1, dtype=torch.bool), 2, 'X').tolist() == [[True, False]]
    with pytest.raises(ConfigError, match='X: a training video has 3 snippets, the model has max_snippets=2'):
        pad_positions(torch.ones(1, 3), 2, 'X')
