# Shapes: b videos, s samples of noise, t snippets.
from typing import Any

import torch
from torch import Tensor


def perturbed_top_share(
    values_bt: Tensor, noise_bst: Tensor, numbers_b: Tensor, mask_bt: Tensor, sigma: float
) -> Tensor:
    """Share of noisy samples in which each snippet is among the k largest: a top-k with a gradient.

    Berthet et al., "Learning with Differentiable Perturbed Optimizers", NeurIPS 2020, arXiv:2002.08676, for top-k as in
    Cordonnier et al., "Differentiable Patch Selection for Image Recognition", CVPR 2021, arXiv:2104.03059. The gradient
    is an estimate from the same samples: the mean of (chosen or not) x (noise . incoming gradient) / sigma. It is the
    transposed estimate, as in CLIP-TSA's code. Both have the same mean, since the derivative is a symmetric matrix.

    Args:
        values_bt (Tensor): Values to compare, float32, shape (b, t).
        noise_bst (Tensor): Standard normal noise, float32, shape (b, s, t) or (1, s, t).
        numbers_b (Tensor): k of each video, 1 to its number of real snippets, int64, shape (b,).
        mask_bt (Tensor): True at real snippets, bool, shape (b, t).
        sigma (float): Standard deviation of the noise, > 0.

    Returns:
        Tensor: Shares, 0..1, 0 at padding, with sum k, float32, shape (b, t).
    """
    if torch.compiler.is_exporting():
        return _chosen(values_bt, noise_bst, numbers_b, mask_bt, sigma).to(values_bt.dtype).mean(1)
    return _PerturbedTopShare.apply(values_bt, noise_bst, numbers_b, mask_bt, sigma)


def _chosen(values_bt: Tensor, noise_bst: Tensor, numbers_b: Tensor, mask_bt: Tensor, sigma: float) -> Tensor:
    """Whether each snippet is among the k largest of each noisy sample, bool, shape (b, s, t)."""
    noisy_bst = (values_bt[:, None] + sigma * noise_bst).masked_fill(~mask_bt[:, None], float('-inf'))
    # The k-th largest value of each sample; larger ones and itself are chosen.
    descending = noisy_bst.sort(dim=-1, descending=True).values
    last = (numbers_b - 1)[:, None, None].expand(-1, noisy_bst.shape[1], 1)
    return noisy_bst >= descending.gather(2, last)


class _PerturbedTopShare(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values_bt: Tensor, noise_bst: Tensor, numbers_b: Tensor, mask_bt: Tensor, sigma: float
    ) -> Tensor:
        chosen_bst = _chosen(values_bt, noise_bst, numbers_b, mask_bt, sigma)
        ctx.save_for_backward(chosen_bst, noise_bst)
        ctx.sigma = sigma
        return chosen_bst.to(values_bt.dtype).mean(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        chosen_bst, noise_bst = ctx.saved_tensors
        along_bs = (noise_bst * grads[0][:, None]).sum(-1)
        grad_bt = torch.einsum('bst,bs->bt', chosen_bst.to(along_bs.dtype), along_bs)
        return grad_bt / (chosen_bst.shape[1] * ctx.sigma), None, None, None, None
