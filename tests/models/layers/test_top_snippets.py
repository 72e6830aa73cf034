import pytest
import torch

from vadlab.models.layers.top_snippets import top_snippets


@pytest.mark.parametrize('tail', [(), (3,)])
def test_means_equal_a_loop_over_videos_with_torch_topk(tail):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 70, *tail, generator=generator)
    values = torch.randn(4, 70, *tail, generator=generator)
    lengths = [70, 1, 16, 47]
    mask = torch.arange(70) < torch.tensor(lengths)[:, None]
    means = (top_snippets(scores, mask) * values).sum(1)
    for row, n in enumerate(lengths):
        places = scores[row, :n].topk(n // 16 + 1, dim=0).indices
        torch.testing.assert_close(means[row], values[row, :n].gather(0, places).mean(0))


def test_weights_sum_to_one_and_never_fall_on_padding_even_if_it_scores_highest():
    scores = torch.tensor([[0.1, 0.2, 9.0, 9.0], [4.0, 3.0, 2.0, 1.0]])
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    torch.testing.assert_close(
        top_snippets(scores, mask, divisor=2), torch.tensor([[0.5, 0.5, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0]])
    )


def test_no_gradient_flows_through_the_choice():
    scores = torch.randn(1, 5, requires_grad=True)
    weights = top_snippets(scores, torch.ones(1, 5, dtype=torch.bool))
    assert not weights.requires_grad
    (weights * scores).sum().backward()
    torch.testing.assert_close(scores.grad, weights)


def test_never_more_snippets_than_there_are():
    mask = torch.tensor([[True, True, True, False]])  # 3 // 1 + 1 would be four
    weights = top_snippets(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), mask, divisor=1)
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))
