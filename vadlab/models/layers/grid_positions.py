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
