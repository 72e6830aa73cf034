import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vadlab.models.extractors.snippet_feature_extractor import SnippetFeatureExtractor
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError

VISION = dict(type='CLIPVisionTransformer', image_size=32, patch_size=16, width=16, layers=2, heads=2)


@MODELS.register_module(force=True)
class ToyFrameBackbone(nn.Module):
    """Image backbone: the mean of each colour channel."""

    width = 3

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, frames):
        return frames.mean((2, 3)) * self.gain


@MODELS.register_module(force=True)
class ToyClipBackbone(nn.Module):
    """Clip backbone: the last frame minus the first."""

    width = 3
    takes_clips = True
    pretrained = None

    def forward(self, clips):
        return (clips[:, -1] - clips[:, 0]).mean((2, 3))


def grey(*levels):
    """Frames of one grey level each, shape (1, f, 3, 4, 4)."""
    return torch.tensor(levels, dtype=torch.uint8).view(1, -1, 1, 1, 1).expand(1, len(levels), 3, 4, 4)


def test_frames_are_normalised_and_averaged():
    model = SnippetFeatureExtractor(dict(type='ToyFrameBackbone'), mean=(10, 20, 30), std=(2, 4, 5))
    torch.testing.assert_close(model(grey(50, 70)), torch.tensor([[25.0, 10.0, 6.0]]))


def test_normalised_before_the_mean():
    """Features of frames are scaled to length 1 before the mean, so the mean is shorter."""
    model = SnippetFeatureExtractor(dict(type='ToyFrameBackbone'), mean=(0, 0, 0), std=(1, 1, 1), normalize=True)
    torch.testing.assert_close(model(grey(3, 200)), torch.full((1, 3), 3**-0.5))


def test_a_clip_backbone_gets_the_whole_snippet():
    model = SnippetFeatureExtractor(dict(type='ToyClipBackbone'), mean=(0, 0, 0), std=(1, 1, 1))
    frames = torch.cat([grey(5, 9, 11), grey(1, 2, 3)])
    for limit in (None, 1, 3, 100):
        torch.testing.assert_close(model(frames, limit), torch.tensor([[6.0] * 3, [2.0] * 3]))


def test_chunks_do_not_matter():
    torch.manual_seed(0)
    model = SnippetFeatureExtractor(VISION, embed_dim=8).eval()
    frames = torch.randint(0, 256, (3, 4, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(model(frames, 5), model(frames))
    assert model(frames).shape == (3, 8)


def test_clip_weights_and_projection_are_loaded(tmp_path):
    from vadlab.models.detectors.clip import CLIP

    torch.manual_seed(0)
    text = dict(type='CLIPTextTransformer', vocab_size=49408, context_length=8, width=8, layers=1, heads=2,
                long_context_length=None)  # fmt: skip
    clip = CLIP(vision=VISION, text=text, embed_dim=8)
    path = tmp_path / 'clip.safetensors'
    save_file({k: v.contiguous() for k, v in clip.state_dict().items()}, str(path))
    model = SnippetFeatureExtractor(VISION, embed_dim=8, pretrained=str(path)).eval()
    before = model.weights_sha256()
    model.init_weights()
    assert model.weights_sha256() != before
    frames = torch.randint(0, 256, (1, 1, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = clip.visual_projection(clip.vision((frames[:, 0].float() - model.mean) / model.std)[0])
        torch.testing.assert_close(model(frames), expected)
        unprojected = SnippetFeatureExtractor(VISION, pretrained=str(path)).eval()
        unprojected.init_weights()
        torch.testing.assert_close(unprojected(frames) @ clip.visual_projection.weight.T, expected)
    wrong = SnippetFeatureExtractor({**VISION, 'width': 32}, pretrained=str(path))
    with pytest.raises(CheckpointError, match='size mismatch'):
        wrong.init_weights()


def test_other_backbones_load_their_own_names(tmp_path):
    path = tmp_path / 'toy.safetensors'
    save_file({'gain': torch.tensor([1.0, 2.0, 3.0])}, str(path))
    model = SnippetFeatureExtractor(dict(type='ToyFrameBackbone'), pretrained=str(path))
    model.init_weights()
    assert model.vision.gain.tolist() == [1.0, 2.0, 3.0]
    save_file({'loss': torch.zeros(1)}, str(path))
    with pytest.raises(CheckpointError, match=r'toy\.safetensors does not fit ToyFrameBackbone'):
        model.init_weights()


def test_random_weights_give_a_warning(caplog, monkeypatch):
    from mmengine.logging import MMLogger

    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    SnippetFeatureExtractor(VISION).init_weights()
    assert 'RANDOM weights' in said[0]


def test_hash_depends_on_values_not_on_files():
    torch.manual_seed(0)
    one = SnippetFeatureExtractor(VISION, embed_dim=8)
    two = SnippetFeatureExtractor(VISION, embed_dim=8)
    assert one.weights_sha256() != two.weights_sha256()
    two.load_state_dict(one.state_dict())
    assert one.weights_sha256() == two.weights_sha256()


def test_invalid_settings_are_rejected():
    with pytest.raises(ConfigError, match='has no projection'):
        SnippetFeatureExtractor(dict(type='ToyClipBackbone'), embed_dim=4)

    @MODELS.register_module(force=True)
    class ToyWidthlessBackbone(nn.Module):
        pass

    with pytest.raises(ConfigError, match='does not specify its channels'):
        SnippetFeatureExtractor(dict(type='ToyWidthlessBackbone'))
