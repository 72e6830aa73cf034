import pytest
import torch

from vadlab.models.necks.masked_mean_temporal_pooling import MaskedMeanTemporalPooling
from vadlab.models.necks.mean_temporal_pooling import MeanTemporalPooling


def test_mean_over_frames_by_hand():
    feats = torch.tensor([[[1.0, 10.0], [3.0, 30.0]]])
    assert MeanTemporalPooling()(feats).tolist() == [[2.0, 20.0]]


def test_mean_of_half_precision_is_float32():
    assert MeanTemporalPooling()(torch.ones(1, 3, 2, dtype=torch.bfloat16)).dtype == torch.float32


def test_mean_of_no_frame_is_rejected():
    with pytest.raises(ValueError, match='no frame to average'):
        MeanTemporalPooling()(torch.zeros(2, 0, 4))


def test_masked_mean_skips_unmarked_frames_even_if_nan():
    feats = torch.tensor([[[1.0], [float('nan')], [5.0]], [[7.0], [8.0], [9.0]]])
    mask = torch.tensor([[True, False, True], [False, False, False]])
    pooled, has_frame = MaskedMeanTemporalPooling()(feats, mask)
    assert pooled.tolist() == [[3.0], [0.0]]
    assert has_frame.tolist() == [True, False]


def test_masked_mean_gradients_equal_finite_differences():
    torch.manual_seed(0)
    feats = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert torch.autograd.gradcheck(lambda x: MaskedMeanTemporalPooling()(x, mask)[0], (feats,))


def test_masked_mean_of_no_region():
    pooled, has_frame = MaskedMeanTemporalPooling()(torch.zeros(0, 3, 4), torch.zeros(0, 3, dtype=torch.bool))
    assert pooled.shape == (0, 4)
    assert has_frame.shape == (0,)


def test_masked_mean_rejects_a_mask_of_another_shape():
    with pytest.raises(ValueError, match=r'features \(1, 3, 2\) against mask \(1, 2\)'):
        MaskedMeanTemporalPooling()(torch.zeros(1, 3, 2), torch.ones(1, 2, dtype=torch.bool))
