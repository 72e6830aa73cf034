import pytest
import torch

from vadlab.models.backbones import VideoMAE
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

transformers = pytest.importorskip('transformers')
TINY = dict(image_size=16, patch_size=8, num_frames=4, tubelet_size=2, width=16, layers=2, heads=2)


def save(folder, kind, **options):
    """A tiny model of transformers on disk."""
    torch.manual_seed(0)
    config = transformers.VideoMAEConfig(
        image_size=16, patch_size=8, num_frames=4, tubelet_size=2, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32, decoder_hidden_size=16, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2, **options,
    )  # fmt: skip
    model = getattr(transformers, kind)(config).eval()
    for name, parameter in model.named_parameters():
        if 'norm' in name:
            torch.nn.init.normal_(parameter, 1.0)
    model.save_pretrained(folder)
    return model


def test_fine_tuned_feature_is_what_transformers_classifies(tmp_path):
    reference = save(tmp_path, 'VideoMAEForVideoClassification', num_labels=5)
    model = VideoMAE(pretrained=str(tmp_path)).eval()
    clips = torch.randn(2, 4, 3, 16, 16)
    with torch.no_grad():
        feats = model(clips)
        torch.testing.assert_close(reference.classifier(feats), reference(clips).logits)
    assert feats.shape == (2, 16)
    assert model.width == 16


def test_pretrained_tokens_are_those_of_transformers(tmp_path):
    reference = save(tmp_path, 'VideoMAEForPreTraining', use_mean_pooling=False).videomae
    model = VideoMAE(pretrained=str(tmp_path), pooled=False).eval()
    clips = torch.randn(2, 4, 3, 16, 16)
    with torch.no_grad():
        tokens = reference(clips).last_hidden_state
        torch.testing.assert_close(model(clips), tokens)
        torch.testing.assert_close(VideoMAE(pretrained=str(tmp_path)).eval()(clips), tokens.mean(1))
    assert tokens.shape == (2, 8, 16)


def test_random_weights_follow_the_seed():
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(VideoMAE(**TINY).eval())
    clips = torch.randn(1, 4, 3, 16, 16)
    with torch.no_grad():
        one, two, other = (model(clips) for model in models)
    assert torch.equal(one, two)
    assert not torch.allclose(one, other)


def test_learns(tmp_path):
    model = VideoMAE(**TINY)
    model(torch.randn(1, 4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in model.encoder.encoder.parameters())


def test_wrong_clips_and_settings():
    with pytest.raises(ConfigError, match='must be a multiple'):
        VideoMAE(**{**TINY, 'num_frames': 3})
    with pytest.raises(DataError, match=r'takes \(4, 3, 16, 16\).*Give it 4 frames a snippet'):
        VideoMAE(**TINY)(torch.zeros(1, 16, 3, 16, 16))


def test_what_is_no_videomae(tmp_path):
    with pytest.raises(CheckpointError, match='cannot be loaded'):
        VideoMAE(pretrained=str(tmp_path))
    (tmp_path / 'bert').mkdir()
    config = transformers.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.BertModel(config).save_pretrained(tmp_path / 'bert')
    with pytest.raises(CheckpointError, match='bert'):
        VideoMAE(pretrained=str(tmp_path / 'bert'))
