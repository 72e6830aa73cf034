import pytest
import torch

from vadlab.models.backbones.simple_3d_cnn import Simple3DCNN
from vadlab.utils.errors import ConfigError, DataError


def test_order_of_tokens_matches_the_grid():
    torch.manual_seed(0)
    model = Simple3DCNN(channels=(8, 16), strides=(1, 2)).eval()
    clips = torch.randn(1, 6, 3, 20, 28)
    tokens = model(clips)
    grid = model.token_grid((6, 3, 20, 28))
    assert grid == (3, 5, 7)
    assert tokens.shape == (1, 105, 16)
    assert model.width == 16
    # Without the norm, which uses the whole clip, a token depends only on its own position.
    first = model.stages[0][0]  # halves height and width, not time
    other = clips.clone()
    other[:, 5, :, 19:, 27:] += 1
    changed = (first(clips.transpose(1, 2)) != first(other.transpose(1, 2))).any(1)[0]
    assert set(map(tuple, changed.nonzero().tolist())) == {(4, 9, 13), (5, 9, 13)}


def test_pooled_is_the_mean_of_tokens_and_clips_do_not_mix():
    torch.manual_seed(0)
    model = Simple3DCNN(channels=(8, 16), strides=(1, 2))
    clips = torch.randn(3, 4, 3, 16, 16)
    tokens = model(clips)
    model.pooled = True
    torch.testing.assert_close(model(clips), tokens.mean(1))
    torch.testing.assert_close(model(clips[1:2])[0], tokens[1].mean(0))  # in training mode too: no batch statistics


def test_direction_of_motion_can_be_learnt():
    torch.manual_seed(0)
    model = Simple3DCNN(channels=(8, 16), strides=(1, 2), pooled=True)
    clips = torch.randn(1, 4, 3, 16, 16)
    assert not torch.allclose(model(clips), model(clips.flip(1)))


def test_invalid_settings_and_clips_are_rejected():
    with pytest.raises(ConfigError, match=r'channels=\(8, 12\) must be multiples of 8'):
        Simple3DCNN(channels=(8, 12), strides=(1, 1))
    with pytest.raises(ConfigError, match='as many'):
        Simple3DCNN(channels=(8, 16), strides=(1,))
    with pytest.raises(DataError, match=r'clips of shape \(1, 3, 4, 16, 16\)'):
        Simple3DCNN()(torch.zeros(1, 3, 4, 16, 16))


def test_batch_norm_is_of_each_channel_over_the_batch():
    torch.manual_seed(0)
    model = Simple3DCNN(channels=(8,), strides=(1,), norm='batch')
    clips = torch.randn(4, 2, 3, 8, 8)
    found = model.stages[0][1](model.stages[0][0](clips.transpose(1, 2)))
    torch.testing.assert_close(found.mean((0, 2, 3, 4)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3, 4), unbiased=False), torch.ones(8), atol=1e-3, rtol=0)
    model.eval()
    torch.testing.assert_close(model(clips)[1:2], model(clips[1:2]))
    with pytest.raises(ConfigError, match='norm=.layer. must be group or batch'):
        Simple3DCNN(norm='layer')
