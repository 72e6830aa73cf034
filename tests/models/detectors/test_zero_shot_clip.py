import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor

from vadlab.models.detectors.zero_shot_clip import ZeroShotCLIP
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

CLASSES = ('Normal', 'Fighting', 'Explosion')
TEXT = dict(type='CLIPTextTransformer', width=8, layers=1, heads=2, long_context_length=None)


def _model(**options):
    torch.manual_seed(0)
    preprocessor = BaseDataPreprocessor()
    return ZeroShotCLIP(**(dict(classes=CLASSES, text=TEXT, embed_dim=6, data_preprocessor=preprocessor) | options))


def _samples(*lengths):
    return [VADDataSample(metainfo=dict(video_id='v', num_snippets=n), gt_label=0) for n in lengths]


def test_scores_are_the_softmax_over_phrases_of_cosines():
    head = dict(prompts=dict(Normal=['a', 'b'], Fighting=['c'], Explosion=['d']), templates=['{}'])
    model = _model(score_head=head)
    feats = 7 * torch.randn(1, 1, 4, 6)
    texts = F.normalize(model.text_projection(model.text(model._tokens)), dim=-1)
    shares = (model.logit_scale.exp() * F.normalize(feats[0, 0], dim=-1) @ texts.T).softmax(-1)
    out = model(feats)
    torch.testing.assert_close(out['scores'][0], shares[:, 2:].sum(1))
    torch.testing.assert_close(
        out['class_scores'][0], torch.stack([shares[:, :2].sum(1), shares[:, 2], shares[:, 3]], 1)
    )


def test_padding_does_not_change_window_means():
    model = _model(score_head=dict(score_window=3))
    feats = torch.randn(2, 1, 6, 6)
    feats[1, :, 4:] = 0
    _, short = model(feats, _samples(6, 4), mode='predict')
    (alone,) = model(feats[1:, :, :4], _samples(4), mode='predict')
    torch.testing.assert_close(short.pred_logits, alone.pred_logits)


def test_training_is_rejected():
    model = _model()
    assert not any(p.requires_grad for p in model.parameters())
    with pytest.raises(ConfigError, match='tools/test.py CONFIG none'):
        model(torch.randn(1, 1, 4, 6), _samples(4), mode='loss')
