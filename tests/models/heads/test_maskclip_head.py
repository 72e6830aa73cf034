import pytest
import torch
import torch.nn.functional as F

from vadlab.models.heads.maskclip_head import MaskCLIPHead
from vadlab.utils.errors import ConfigError


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_assignment_equals_a_loop_over_patches():
    aligned, whole, codebook = unit(2, 6, 8), unit(2, 8, seed=1), unit(30, 8, seed=2)
    named = MaskCLIPHead(num_nearest=4).eval()(aligned, whole, codebook, 100.0)
    for b in range(2):
        nearest = sorted(range(30), key=lambda c: -float(whole[b] @ codebook[c]))[:4]
        chosen = [max(nearest, key=lambda c: float(aligned[b, p] @ codebook[c])) for p in range(6)]
        assert named.concepts[b].tolist() == chosen
        for p, concept in enumerate(chosen):
            wanted = codebook[concept] / (chosen.count(concept) + 1)
            torch.testing.assert_close(named.text_grid[b, p], wanted)
        assert named.candidates[b].tolist() == nearest
        torch.testing.assert_close(named.logits[b], 100 * aligned[b] @ codebook[nearest].T, rtol=1e-5, atol=1e-4)


def test_training_draws_concepts_as_often_as_their_softmax_says():
    aligned = unit(1, 1, 8).expand(1, 20000, 8)
    codebook = unit(3, 8, seed=2)
    torch.manual_seed(0)
    named = MaskCLIPHead(num_nearest=3)(aligned, unit(1, 8, seed=1), codebook, 2.0)
    drawn = named.concepts[0].bincount(minlength=3) / 20000
    torch.testing.assert_close(drawn, (2 * aligned[0, 0] @ codebook.T).softmax(-1), rtol=0, atol=0.02)


def test_straight_through_gradient_equals_that_of_the_soft_assignment():
    aligned, whole, codebook = unit(1, 5, 8).requires_grad_(), unit(1, 8, seed=1), unit(4, 8, seed=2)
    head = MaskCLIPHead(num_nearest=4)
    torch.manual_seed(3)
    head(aligned, whole, codebook, 10.0).text_grid.square().sum().backward()

    again = aligned.detach().clone().requires_grad_()
    torch.manual_seed(3)
    candidates = (whole @ codebook.T).topk(4).indices[0]
    soft = F.gumbel_softmax(10 * again[0] @ codebook[candidates].T, hard=False)
    hard = F.one_hot(soft.argmax(-1), 4) - soft.detach() + soft
    ((hard / (hard.sum(0) + 1)) @ codebook[candidates]).square().sum().backward()
    torch.testing.assert_close(aligned.grad, again.grad, rtol=1e-4, atol=1e-6)
    assert aligned.grad.abs().sum() > 0


def test_a_codebook_smaller_than_the_candidates_gives_all_of_it():
    named = MaskCLIPHead(num_nearest=20).eval()(unit(2, 6, 8), unit(2, 8), unit(3, 8), 1.0)
    assert named.logits.shape == (2, 6, 3)


def test_mixed_precision_assigns_the_same_concepts_as_float32():
    aligned, whole, codebook = unit(4, 50, 8), unit(4, 8, seed=1), unit(400, 8, seed=2)
    head = MaskCLIPHead(num_nearest=5).eval()
    exact = head(aligned, whole, codebook, 100.0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = head(aligned, whole, codebook, 100.0)
    assert torch.equal(rough.candidates, exact.candidates)
    assert torch.equal(rough.concepts, exact.concepts)


def test_invalid_options_are_rejected():
    with pytest.raises(ConfigError, match='num_nearest=0'):
        MaskCLIPHead(num_nearest=0)
    with pytest.raises(ConfigError, match='temperature=0'):
        MaskCLIPHead(temperature=0)
