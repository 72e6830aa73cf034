"""Weights and frames from a formula, so that numbers of other code can be frozen in tests."""

import torch


def wave(shape, seed):
    """Numbers in -1..1 without structure: sin(c * n^2), float64."""
    n = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(n * n * (0.37 + 0.011 * seed) + seed).reshape(shape)


@torch.no_grad()
def fill(state):
    """Overwrite the floats of a state dict, in the order of their names; batch norms stay close to the identity."""
    for i, name in enumerate(sorted(state)):
        tensor = state[name]
        if not tensor.is_floating_point():
            continue
        values = wave(tensor.shape, i)
        if tensor.ndim > 1:
            values = values * 1.7 / (tensor[0].numel() ** 0.5)
        else:
            values = values * 0.1 + float(name.endswith(('running_var', 'weight')))
        tensor.copy_(values)


def frames(count, size, seed=0):
    """A video of a drifting pattern, uint8, shape (count, 3, size, size)."""
    base = wave((1, 3, size, size), seed + 50)
    drift = wave((count, 3, size, size), seed + 60).cumsum(0) * 0.1
    return ((base + drift).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
