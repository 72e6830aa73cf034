import math

import pytest
import torch

from vadlab.models.losses.info_nce_loss import InfoNCELoss
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

VISION = dict(type='CLIPVisionTransformer', image_size=16, patch_size=8, width=16, layers=2, heads=2)
TEXT = dict(
    type='CLIPTextTransformer', vocab_size=20, context_length=8, long_context_length=None, width=12, layers=2, heads=2
)


def _model(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='CLIP', vision=VISION, text=TEXT, embed_dim=6, **options))


def _batch(n=4, frames=1):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(n, frames, 3, 16, 16, generator=generator)
    captions = ([18, 1, 2, 19], [18, 3, 19], [18, 1, 2, 19], [18, *range(1, 12), 19])
    return inputs, [VADDataSample(gt_caption_tokens=torch.tensor(c)) for c in captions[:n]]


def test_loss_backward_reaches_every_parameter_and_learns():
    model = _model()
    inputs, samples = _batch()
    terms = model(inputs, samples, mode='loss')
    assert set(terms) == {'loss_contrast', 'acc_contrast', 'image_negatives', 'logit_scale'}
    assert terms['logit_scale'].item() == pytest.approx(1 / 0.07, rel=1e-5)
    terms['loss_contrast'].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        last = model(inputs, samples, mode='loss')
        last['loss_contrast'].backward()
        optimizer.step()
    assert last['loss_contrast'].item() < 0.2 * terms['loss_contrast'].item()
    assert last['acc_contrast'].item() == 1.0


def test_equal_captions_are_not_negatives():
    model = _model()
    inputs, samples = _batch()
    with torch.no_grad():
        embeds = model(inputs, samples)
        scale = model.logit_scale.exp()
        expected = InfoNCELoss()(*embeds.values(), scale, group_ids=torch.tensor([0, 1, 0, 2]))
        plain = InfoNCELoss()(*embeds.values(), scale)
        loss = model(inputs, samples, mode='loss')['loss_contrast']
    torch.testing.assert_close(loss, expected)
    assert not torch.isclose(loss, plain)


def test_frames_are_averaged_after_projection():
    model = _model()
    inputs, _ = _batch(frames=3)
    with torch.no_grad():
        single = [model.visual_projection(model.vision(inputs[:, t])[0]) for t in range(3)]
        expected = torch.nn.functional.normalize(torch.stack(single).mean(0), dim=-1)
        torch.testing.assert_close(model(inputs)['video_embed'], expected)


def test_predictions_are_unit_vectors_on_the_samples():
    model = _model().eval()
    with torch.no_grad():
        samples = model(*_batch(), mode='predict')
    videos = torch.stack([s.pred_video_embed for s in samples])
    captions = torch.stack([s.pred_caption_embed for s in samples])
    assert videos.shape == captions.shape == (4, 6)
    assert videos.dtype == torch.float32
    torch.testing.assert_close(videos.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(captions.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(captions[0], captions[2])


def test_captions_over_the_context_keep_their_end_id():
    model = _model().eval()
    long = torch.tensor([18, *range(1, 12), 19])
    cut = torch.tensor([18, *range(1, 7), 19])
    with torch.no_grad():
        embeds = model.embed_captions([long, cut])
    torch.testing.assert_close(embeds[0], embeds[1])


def test_initial_temperature_is_logged(log):
    _model().init_weights()
    assert 'logit_scale = 2.6593 (x14.3): random weights, ln(1 / 0.07)' in log.text


def test_pretrained_weights_are_loaded_once(tmp_path, log):
    source = _model()
    with torch.no_grad():
        source.logit_scale.fill_(9.0)
        source.visual_projection.weight.fill_(0.5)
    torch.save(source.state_dict(), tmp_path / 'clip.pth')
    model = _model(pretrained=str(tmp_path / 'clip.pth'))
    model.init_weights()
    assert (model.visual_projection.weight == 0.5).all()
    assert model.logit_scale.item() == pytest.approx(math.log(100))
    assert f'from {tmp_path / "clip.pth"}' in log.text
    with torch.no_grad():
        model.visual_projection.weight.zero_()
    model.init_weights()
    assert (model.visual_projection.weight == 0).all()


def test_a_single_pair_is_rejected():
    with pytest.raises(ConfigError, match='one pair per batch has no negatives.*batch_size to 2'):
        _model()(*_batch(1), mode='loss')


def test_unknown_modes_and_missing_samples_are_rejected():
    inputs, samples = _batch()
    with pytest.raises(ValueError, match=r"mode='train' is not one of tensor, loss, predict"):
        _model()(inputs, samples, mode='train')
    with pytest.raises(ValueError, match="mode='loss' needs data_samples"):
        _model()(inputs, mode='loss')
