import pytest
import torch

from vadlab.models.losses.mil_ranking_loss import MILRankingLoss
from vadlab.registry import MODELS


def test_hand_computed_terms_of_two_normal_and_one_abnormal_video():
    normal = torch.tensor([[0.1, 0.3, 0.2], [0.6, 0.0, 0.0]])
    abnormal = torch.tensor([[0.2, 0.9, 0.4]])
    terms = MILRankingLoss(sparsity_weight=0.1, smoothness_weight=0.01)(normal, abnormal)
    assert terms['loss_ranking'].item() == pytest.approx(((1 - 0.9 + 0.3) + (1 - 0.9 + 0.6)) / 2)
    assert terms['loss_sparsity'].item() == pytest.approx(0.1 * 1.5)
    assert terms['loss_smoothness'].item() == pytest.approx(0.01 * (0.49 + 0.25))


def test_hinges_are_summed_over_abnormal_and_averaged_over_normal_videos_and_never_negative():
    normal, abnormal = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.5], [0.0]])
    ranking = MILRankingLoss()(normal, abnormal)['loss_ranking']
    assert ranking.item() == pytest.approx(((0 + 0.5 + 1) + (1 + 1.5 + 2)) / 2)
    assert MILRankingLoss(margin=0.4)(normal[:1], abnormal[:1])['loss_ranking'].item() == 0


def test_the_authors_objective_on_arithmetic_scores():
    # WaqasSultani/AnomalyDetectionCVPR2018, commit 8aa957c, its objective run in float64: 30 and 30 videos.
    ticks = torch.arange(60 * 32, dtype=torch.float64)
    scores = (0.5 + 0.5 * torch.sin(ticks * (ticks + 1) % 9973 * 0.61)).view(60, 32)
    terms = MILRankingLoss()(scores[30:], scores[:30])
    assert sum(terms.values()).item() == pytest.approx(30.157764729901395, abs=1e-9)


def test_padding_is_ignored():
    torch.manual_seed(0)
    normal, abnormal = torch.rand(2, 4), torch.rand(2, 4)
    mask = torch.tensor([[True, True, True, False]] * 2)
    masked = MILRankingLoss()(normal, abnormal, mask, mask)
    for name, term in MILRankingLoss()(normal[:, :3], abnormal[:, :3]).items():
        torch.testing.assert_close(masked[name], term)


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    loss = MODELS.build(dict(type='MILRankingLoss', sparsity_weight=0.3, smoothness_weight=0.7))
    scores = [torch.rand(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda n, a: sum(loss(n, a).values()), scores)
