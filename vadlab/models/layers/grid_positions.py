import math

import torch
from torch import Tensor


def grid_positions(grid: tuple[int, ...], width: int) -> Tensor:
    """Fixed sine-cosine position embeddings for the tokens of a grid of any size.

    Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, section 3.5; each axis has its own part of the
    channels.

    Args:
        grid (tuple[int, ...]): Number of tokens along each axis.
        width (int): Channels d.

    Returns:
        Tensor: float32, shape (n, d), in row-major order (the last axis varies fastest); zeros for a single token.

    Example:
        >>> grid_positions((2, 3), 8).shape, grid_positions((1,), 8).abs().sum()
        (torch.Size([6, 8]), tensor(0.))
    """
    axes = [axis for axis, length in enumerate(grid) if length > 1]
    out = torch.zeros(*grid, width)
    pairs = width // (2 * max(len(axes), 1))
    for number, axis in enumerate(axes):
        angles = torch.arange(grid[axis])[:, None] / 10000 ** (torch.arange(pairs) / pairs)
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        shape = [1] * len(grid) + [2 * pairs]
        shape[axis] = grid[axis]
        out[..., number * 2 * pairs : (number + 1) * 2 * pairs] = waves.view(shape)
    return out.flatten(0, -2)


def normalised_grid_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Fixed sine-cosine position embeddings of a grid whose sides have length 2 pi.

    Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020, arXiv:2005.12872, with normalisation: the
    cells of a side of n are at 2 pi i / n, i = 1 .. n. Sines and cosines alternate; rows come before columns.

    Args:
        grid (tuple[int, int]): Number of rows and columns.
        width (int): Channels d, a multiple of 4.

    Returns:
        Tensor: float32, shape (n, d), in row-major order.

    Example:
        >>> normalised_grid_positions((2, 2), 4)[0].round(decimals=4) + 0.0  # half way round along both sides
        tensor([ 0., -1.,  0., -1.])
    """
    pairs = width // 4
    parts = []
    for side in grid:
        places = torch.arange(1, side + 1, dtype=torch.float32) / (side + 1e-6) * 2 * math.pi
        angles = places[:, None] / 10000 ** (torch.arange(pairs) / pairs)
        parts.append(torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1))
    rows, columns = (len(part) for part in parts)
    down = parts[0][:, None].expand(-1, columns, -1)
    across = parts[1][None].expand(rows, -1, -1)
    return torch.cat([down, across], dim=-1).flatten(0, 1)
