"""Weights, snippet features and samples from a formula, so that numbers of the authors' code can be frozen in tests."""

import torch

from vadlab.structures import VADDataSample


def scattered(tensor, i):
    """Sines at scattered arguments, float32, with the shape of ``tensor``; others for each ``i``."""
    ticks = torch.arange(tensor.numel())
    return torch.sin((ticks * (ticks + i) % 9973).double() * 0.61 + i).float().view_as(tensor)


@torch.no_grad()
def fill(model, is_one, is_flat=lambda name: False):
    """Overwrite the floats of a model, in the order of their names, with the scale of random weights.

    ``is_one`` says of a name whether the values lie around 1, such as weights and variances of norms. ``is_flat`` says
    whether a tensor of several dimensions is scaled like a vector.
    """
    for i, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        if tensor.is_floating_point():
            scale = 0.3 if tensor.dim() == 1 or is_flat(name) else 2 * tensor[0].numel() ** -0.5
            tensor.copy_(scale * scattered(tensor, i) + float(is_one(name)))


def scattered_features(*shape):
    """Snippet features, float32."""
    ticks = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (torch.sin(ticks * 0.73) + torch.cos(ticks**2 * 0.011)).float().view(*shape)


def samples(*labels, length, lengths=None):
    """A sample per label, with ``length`` snippets, or as many as ``lengths`` says."""
    return [
        VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=n), gt_label=label)
        for i, (label, n) in enumerate(zip(labels, lengths or [length] * len(labels), strict=True))
    ]
