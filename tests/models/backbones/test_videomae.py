import pytest
import torch

from vadlab.models.backbones.videomae import VideoMAE
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

transformers = pytest.importorskip('transformers')
TINY = dict(image_size=16, patch_size=8, num_frames=4, tubelet_size=2, width=16, layers=2, heads=2)


def save(folder, kind, **options):
    """Save a tiny model of transformers to disk."""
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


def test_fine_tuned_feature_equals_the_input_of_transformers_classifier(tmp_path):
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


def test_a_step_along_the_gradient_lowers_the_loss():
    torch.manual_seed(0)
    model, clip = VideoMAE(**TINY), torch.randn(1, 4, 3, 16, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = model(clip).square().mean()
    before.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.encoder.encoder.layer[0].attention.parameters() if p.ndim == 2)
    optimizer.step()
    assert model(clip).square().mean() < before


def test_tokens_of_fine_tuned_weights_equal_those_of_transformers(tmp_path):
    reference = save(tmp_path, 'VideoMAEForVideoClassification').videomae
    model = VideoMAE(pretrained=str(tmp_path), pooled=False).eval()
    clips = torch.randn(2, 4, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(clips), reference(clips).last_hidden_state)
    assert model.token_grid((4, 3, 16, 16)) == (2, 2, 2)


def test_order_of_tokens_matches_the_grid():
    model = VideoMAE(**TINY, pooled=False).eval()
    clips = torch.randn(1, 4, 3, 16, 16)
    other = clips.clone()
    other[:, 2:, :, 8:, :8] += 1  # second time, second row, first column
    with torch.no_grad():
        embed = model.encoder.embeddings.patch_embeddings
        changed = (embed(clips) != embed(other)).any(-1)[0]
    assert changed.view(model.token_grid((4, 3, 16, 16))).nonzero().tolist() == [[1, 1, 0]]


def test_frozen_is_in_evaluation_mode_and_without_graph():
    model = torch.nn.Sequential(VideoMAE(**TINY, frozen=True)).train()
    assert not any(part.training for part in model[0].modules())
    feats = model(torch.randn(1, 4, 3, 16, 16))
    assert not feats.requires_grad
    assert not any(p.requires_grad for p in model.parameters())


def test_checkpointing_changes_memory_not_gradients():
    gradients, calls = [], []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = VideoMAE(**TINY, with_cp=with_cp).train()
        model.encoder.encoder.layer[0].intermediate.register_forward_hook(lambda *_: calls.append(1))
        model(torch.linspace(-1, 1, 2 * 4 * 3 * 256).view(2, 4, 3, 16, 16)).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1])
    assert len(calls) == 1 + 2  # once forward, and again in the backward pass


def test_invalid_clips_and_settings_are_rejected():
    with pytest.raises(ConfigError, match='must be a multiple'):
        VideoMAE(**{**TINY, 'num_frames': 3})
    with pytest.raises(DataError, match=r'takes \(4, 3, 16, 16\).*Give it 4 frames per snippet'):
        VideoMAE(**TINY)(torch.zeros(1, 16, 3, 16, 16))


def test_other_models_are_rejected(tmp_path):
    with pytest.raises(CheckpointError, match='cannot be loaded'):
        VideoMAE(pretrained=str(tmp_path))
    (tmp_path / 'bert').mkdir()
    config = transformers.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.BertModel(config).save_pretrained(tmp_path / 'bert')
    with pytest.raises(CheckpointError, match='bert'):
        VideoMAE(pretrained=str(tmp_path / 'bert'))
