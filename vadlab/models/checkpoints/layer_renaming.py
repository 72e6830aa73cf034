"""From the layer names of another code's state dict to ours."""

from collections.abc import Mapping

from torch import Tensor


def rename_layers(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor] | None:
    """Give every tensor its layer's new name, if the layers are exactly those expected.

    Args:
        tensors (Mapping[str, Tensor]): By old name, such as ``classifier.0.weight``.
        names (Mapping[str, str]): New names of layers or parameters by their old ones: ``{'classifier.0': 'fc1'}``.

    Returns:
        dict[str, Tensor] | None: By new name; None where a tensor belongs to no layer of ``names``, or a layer of
        ``names`` has no tensor: it is another layout then.

    Example:
        >>> import torch
        >>> rename_layers({'net.0.bias': torch.zeros(1)}, {'net.0': 'fc1'})
        {'fc1.bias': tensor([0.])}
        >>> rename_layers({'net.1.bias': torch.zeros(1)}, {'net.0': 'fc1'}) is None
        True
    """
    renamed, met = {}, set()
    for name, tensor in tensors.items():
        layer, rest = name, ''
        while layer not in names:
            layer, dot, tail = layer.rpartition('.')
            if not dot:
                return None
            rest = f'.{tail}{rest}'
        met.add(layer)
        renamed[names[layer] + rest] = tensor
    return renamed if met == set(names) else None
