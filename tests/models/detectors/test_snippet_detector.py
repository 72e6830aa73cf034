import math

import pytest
import torch

from vadlab.models.detectors.snippet_detector import SnippetDetector, safe_logit
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError

PREPROCESSOR = dict(type='BaseDataPreprocessor')


class FirstChannel(SnippetDetector):
    """The first channel is the score, the second (if any) its logit, the rest are class scores."""

    def loss(self, feats_bctd, mask_bt, data_samples):
        return {'loss_mean': (feats_bctd[..., 0].mean(1) * mask_bt).sum() / mask_bt.sum()}

    def score(self, feats_btd, mask_bt):
        out = {'scores': feats_btd[..., 0], 'mask': mask_bt}
        if feats_btd.shape[-1] > 1:
            out['logits'] = feats_btd[..., 1]
        if feats_btd.shape[-1] > 2:
            out['class_scores'] = feats_btd[..., 2:]
        return out


def _model(**options):
    return FirstChannel(data_preprocessor=PREPROCESSOR, **options)


def _samples(*lengths, labels=None, **metainfo):
    labels = labels or [0] * len(lengths)
    return [
        VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=n, **metainfo), gt_label=label)
        for i, (n, label) in enumerate(zip(lengths, labels, strict=True))
    ]


def test_scores_are_averaged_over_crops_and_repeated_to_frames_without_the_padding():
    inputs = torch.tensor([[[0.2, 0.4, 0.6], [0.4, 0.6, 0.8]], [[0.9, 0.1, 0.0], [0.7, 0.3, 0.0]]])[..., None]
    first, second = _model(snippet_len=2)(inputs, _samples(3, 2), mode='predict')
    torch.testing.assert_close(first.pred_scores, torch.tensor([0.3, 0.3, 0.5, 0.5, 0.7, 0.7]))
    torch.testing.assert_close(second.pred_scores, torch.tensor([0.8, 0.8, 0.2, 0.2]))
    torch.testing.assert_close(first.pred_logits, torch.logit(first.pred_scores))


def test_snippet_len_of_a_sample_takes_precedence():
    (sample,) = _model()(torch.full((1, 1, 2, 1), 0.5), _samples(2, snippet_len=3), mode='predict')
    assert sample.pred_scores.shape == (6,)


def test_logits_of_one_crop_are_kept_and_of_several_rank_like_the_mean_probability():
    logits = torch.tensor([[40.0, -3.0], [50.0, 1.0]])
    inputs = torch.stack([logits.sigmoid(), logits], -1)[None]
    (one,) = _model(snippet_len=1)(inputs[:, :1], _samples(2), mode='predict')
    torch.testing.assert_close(one.pred_logits, logits[0])
    (both,) = _model(snippet_len=1)(inputs, _samples(2), mode='predict')
    assert both.pred_scores[0] == 1.0  # saturated, and its logit is not
    mean = logits.double().sigmoid().mean(0)[1]
    # 1 - mean of sigmoids near one is the mean of exp(-z).
    expected = [-math.log((math.exp(-40) + math.exp(-50)) / 2), math.log(mean / (1 - mean))]
    torch.testing.assert_close(both.pred_logits, torch.tensor(expected))


def test_class_scores_are_averaged_over_crops_too():
    inputs = torch.rand(1, 2, 3, 5)
    (sample,) = _model(snippet_len=2)(inputs, _samples(2), mode='predict')
    torch.testing.assert_close(sample.pred_class_scores, inputs[0, :, :2, 2:].mean(0).repeat_interleave(2, 0))


def test_the_mask_comes_from_the_lengths_not_from_zeros():
    inputs = torch.zeros(2, 2, 3, 1)
    out = _model()(inputs, _samples(1, 3))
    assert out['mask'].tolist() == [[True, False, False]] * 2 + [[True] * 3] * 2
    assert _model()(inputs)['mask'].all()
    inputs[0, :, 0] = 4.0
    assert _model()(inputs, _samples(1, 3), mode='loss')['loss_mean'].item() == pytest.approx(1.0)


def test_split_keeps_the_order_and_counts_an_unknown_class_as_abnormal():
    model, samples = _model(), _samples(1, 1, 1, 1, labels=[3, 0, -1, 0])
    normal, abnormal = model.split(samples, equal=True)
    assert (normal.tolist(), abnormal.tolist()) == ([1, 3], [0, 2])
    assert model.labels_of(samples).tolist() == [3, 0, -1, 0]


def test_uneven_batches_name_the_sampler():
    with pytest.raises(ConfigError, match=r'FirstChannel compares.*holds 1 and 2.*BalancedBatchSampler'):
        _model().split(_samples(1, 1, 1, labels=[0, 1, 1]), equal=True)
    with pytest.raises(ConfigError, match='holds 0 and 0'):
        _model().split([], equal=True)


def test_safe_logit_is_finite_and_distinguishes_tiny_scores():
    scores = torch.tensor([0.0, 1e-30, 1e-20, 0.5, 1 - 2**-24, 1.0])
    logits = safe_logit(scores)
    assert logits.isfinite().all()
    assert (logits.diff()[:-1] > 0).all()
    assert logits[3] == 0


@pytest.mark.parametrize('length', [0, 4])
def test_lengths_that_do_not_fit_the_features_are_rejected(length):
    with pytest.raises(DataError, match=rf"video 'v0' has num_snippets={length}.*room for 1 to 3"):
        _model()(torch.zeros(1, 1, 3, 1), _samples(length))


def test_unknown_modes_missing_samples_and_bad_lengths_are_rejected():
    inputs = torch.zeros(1, 1, 3, 1)
    with pytest.raises(ValueError, match=r"FirstChannel: mode='train' is not one of"):
        _model()(inputs, mode='train')
    with pytest.raises(ValueError, match=r"mode='predict' needs data_samples"):
        _model()(inputs, mode='predict')
    with pytest.raises(ConfigError, match='snippet_len=0 must be a whole number'):
        _model(snippet_len=0)


def test_no_public_layout_is_known_by_default():
    assert _model().from_public({'w': torch.zeros(1)}) is None
