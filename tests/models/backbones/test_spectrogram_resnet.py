import sys

import pytest
import torch
from safetensors.torch import save_file

from vadlab.models.backbones.spectrogram_resnet import SpectrogramResNet
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingDependencyError


def build(seed=0, **options):
    torch.manual_seed(seed)
    model = SpectrogramResNet(**{**dict(base_channels=8), **options})
    for layer in model.modules():  # statistics as after training, so that zero inputs give nonzero outputs
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -1, 1)
            torch.nn.init.uniform_(layer.bias, -1, 1)
    return model


def three_channels(seed=3):
    from mmdet.models.backbones import ResNet

    torch.manual_seed(seed)
    resnet = ResNet(18, base_channels=8, out_indices=(3,), norm_eval=False)
    resnet.eval()
    return resnet


def test_tokens_equal_mmdet():
    model = build().eval()
    mels = torch.randn(2, 1, 64, 100)
    expected = model.resnet(mels)[0]
    grid = model.token_grid((1, 64, 100))
    assert grid == (2, 4)
    assert expected.shape == (2, 64, *grid)
    torch.testing.assert_close(model(mels), expected.flatten(2).transpose(1, 2))
    assert model.width == 64
    torch.testing.assert_close(build(pooled=True).eval()(mels), expected.mean((2, 3)))


@pytest.mark.parametrize('pooled', [False, True])
@pytest.mark.parametrize('length', [1, 31, 32, 33, 64, 77, 99, 100])
def test_padding_does_not_change_a_clip(length, pooled):
    model = build(pooled=pooled).eval().double()
    mels = torch.randn(2, 1, 40, 100, dtype=torch.float64)
    mels[1, ..., length:] = 1e5
    out = model(mels, torch.tensor([100, length]))
    alone = model(mels[1:, ..., :length])
    if pooled:
        torch.testing.assert_close(out[1:], alone, rtol=0, atol=1e-12)
        return
    bands, times = model.token_grid((1, 40, 100))
    kept = out[1].view(bands, times, -1)[:, : alone.shape[1] // bands].flatten(0, 1)
    torch.testing.assert_close(kept, alone[0], rtol=0, atol=1e-12)
    valid = model.valid_tokens(torch.tensor([100, length]), (bands, times))
    assert valid.sum(1).tolist() == [8, alone.shape[1]]
    assert out[1][~valid[1]].abs().sum() == 0


def test_averaged_stem_equals_mmdet_on_a_third_of_the_spectrogram_in_each_channel(tmp_path):
    reference = three_channels()
    torch.save({'state_dict': {**reference.state_dict(), 'fc.weight': torch.zeros(1000, 64)}}, tmp_path / 'resnet.pth')
    save_file(reference.state_dict(), tmp_path / 'resnet.safetensors')
    mels = torch.randn(2, 1, 64, 64)
    for stem, factor in (('mean', 1 / 3), ('sum', 1)):
        expected = reference((mels * factor).expand(-1, 3, -1, -1))[0].flatten(2).transpose(1, 2)
        for name in ('resnet.pth', 'resnet.safetensors'):
            model = SpectrogramResNet(base_channels=8, pretrained=str(tmp_path / name), stem=stem).eval()
            torch.testing.assert_close(model(mels), expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(
                model.resnet.conv1.weight[:, 0], getattr(reference.conv1.weight, stem)(1), rtol=0, atol=0
            )


def test_batch_norm_in_training_removes_the_factor_of_the_stem(tmp_path):
    torch.save(three_channels().state_dict(), tmp_path / 'resnet.pth')
    mels = 10 * torch.randn(2, 1, 64, 64)
    mean, summed = (
        SpectrogramResNet(base_channels=8, pretrained=str(tmp_path / 'resnet.pth'), stem=stem).train()(mels)
        for stem in ('mean', 'sum')
    )
    torch.testing.assert_close(mean, summed, rtol=1e-3, atol=1e-3)


def test_frozen_keeps_its_statistics():
    model = torch.nn.Sequential(build(frozen=True)).train()
    before = model[0].resnet.bn1.running_mean.clone()
    assert not model(torch.randn(2, 1, 64, 64)).requires_grad
    assert torch.equal(model[0].resnet.bn1.running_mean, before)


def test_weights_that_do_not_fit_are_rejected(tmp_path):
    torch.save(three_channels().state_dict(), tmp_path / 'resnet.pth')
    with pytest.raises(CheckpointError, match='does not fit ResNet-34'):
        SpectrogramResNet(depth=34, base_channels=8, pretrained=str(tmp_path / 'resnet.pth'))
    with pytest.raises(CheckpointError, match='do not exist'):
        SpectrogramResNet(pretrained=str(tmp_path / 'none.pth'))


def test_invalid_settings_and_spectrograms_are_rejected():
    with pytest.raises(ConfigError, match='depth=20 must be 18'):
        SpectrogramResNet(depth=20)
    with pytest.raises(ConfigError, match="stem='first'"):
        SpectrogramResNet(stem='first')
    with pytest.raises(DataError, match=r'shape \(2, 3, 64, 64\); wanted'):
        build()(torch.zeros(2, 3, 64, 64))
    with pytest.raises(DataError, match=r'lengths \[0, 64\] are not all in 1..64'):
        build()(torch.zeros(2, 1, 64, 64), torch.tensor([0, 64]))


def test_missing_compiled_ops_are_not_called_a_missing_package(monkeypatch, capfd):
    """As after a plain pip install; MMDetection itself is there."""
    for name in [name for name in sys.modules if name == 'mmcv.ops' or name.startswith(('mmcv.ops.', 'mmdet.'))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    with pytest.raises(MissingDependencyError, match=r'mmcv has no compiled ops.*`make install` builds them') as caught:
        SpectrogramResNet(depth=18)
    assert 'pip install --no-build' not in str(caught.value)
    assert capfd.readouterr() == ('', '')
