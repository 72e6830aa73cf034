"""Gather tensors over ranks, with gradients to the rank that each row came from."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of ranks that train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether a flag is set on at least one rank. This is a collective call: every rank must make it.

    Args:
        flag (bool): This rank's flag.
        device (torch.device): A device that the process group can use.
    """
    if world_size() == 1:
        return flag
    found = torch.full((), flag, dtype=torch.int32, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # Every rank's loss depends on this rank's rows, so its gradient is the sum over ranks.
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.chunk(dist.get_world_size())[dist.get_rank()]


def gather_rows(tensor: Tensor) -> tuple[Tensor, Tensor | None]:
    """Stack the rows of all ranks; the number of rows may differ between ranks.

    This is a collective call: every rank must make it, even without rows.

    Args:
        tensor (Tensor): This rank's rows, shape (N, ...).

    Returns:
        tuple: The rows of all ranks in rank order, differentiable, each rank padded with zeros to the longest, shape
        (W * max N, ...); and a mask, True at rows and False at padding, bool, shape (W * max N,), None if there is only
        one rank.
    """
    if world_size() == 1:
        return tensor, None
    counts = torch.zeros(world_size(), dtype=torch.long, device=tensor.device)
    counts[dist.get_rank()] = len(tensor)
    dist.all_reduce(counts)
    longest = int(counts.max())
    padded = tensor
    if len(tensor) < longest:
        padded = torch.cat([tensor, tensor.new_zeros(longest - len(tensor), *tensor.shape[1:])])
    is_row = (torch.arange(longest, device=tensor.device) < counts[:, None]).flatten()
    if tensor.is_floating_point():
        return _AllGather.apply(padded), is_row
    parts = [torch.empty_like(padded) for _ in range(world_size())]
    dist.all_gather(parts, padded.contiguous())
    return torch.cat(parts), is_row
