# Shapes: n rows (tokens), i input channels, o output channels.
import torch
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """Linear layer for inference with int8 weights: a quarter of the memory, integer matrix products.

    Weights are quantised once, with one scale per output channel; inputs at each call, with one scale per row
    ("dynamic"). Both are symmetric: the scale is the largest magnitude over 127. Products accumulate in int32, exactly.

    torch.ao.quantization is being removed from torch. Its successor torchao computes the same result by the same
    integer product, but stores weights in its own tensor classes, which a weights-only reader refuses; here a
    checkpoint holds plain tensors.

    Args:
        linear (nn.Linear): The trained layer.

    Attributes:
        weight_int8 (Tensor): int8, shape (o, i).
        weight_scale (Tensor): float32, shape (o,).
        bias (Tensor | None): float32, shape (o,).
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        weight_int8, scale = _round(weight)
        self.register_buffer('weight_int8', weight_int8)
        self.register_buffer('weight_scale', scale[:, 0])
        self.register_buffer('bias', None if linear.bias is None else linear.bias.detach().float())

    @property
    def weight(self) -> Tensor:
        """The dequantised weights, float32, shape (o, i)."""
        return self.weight_int8 * self.weight_scale[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T + bias`` with x quantised to int8, shape (..., i) to (..., o)."""
        rows = x.flatten(0, -2) if x.ndim > 1 else x[None]
        rows_int8, scale = _round(rows.float())
        if x.is_cpu:
            products_no = torch._int_mm(rows_int8, self.weight_int8.T)
        else:  # integer products of other devices accept only certain shapes
            products_no = rows_int8.float() @ self.weight_int8.float().T
        out_no = products_no * (scale * self.weight_scale)
        if self.bias is not None:
            out_no = out_no + self.bias
        return out_no.to(x.dtype).view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Sizes of the layer, for printing."""
        return f'{self.in_features}, {self.out_features}, bias={self.bias is not None}'


def _round(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise rows: integers in -127..127, int8, and one scale per row, shape (n, 1)."""
    scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    return (rows / scale).round().to(torch.int8), scale


def quantize_linears(model: nn.Module, smallest: int = 64) -> list[str]:
    """Replace a model's linear layers by :class:`Int8Linear`, in place.

    Args:
        model (nn.Module): A trained model.
        smallest (int): Layers with fewer input or output channels are kept: they gain nothing, and the last layer,
            of the classes, is one of them.

    Returns:
        list[str]: Names of the replaced layers.
    """
    names = [
        name
        for name, layer in model.named_modules()
        # The weights of subclasses of nn.Linear may be used without calling the layer.
        if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= smallest
    ]
    for name in names:
        replace_linear(model, name)
    return names


def replace_linear(model: nn.Module, name: str) -> None:
    """Replace one linear layer, in place.

    Raises:
        KeyError: There is no linear layer of that name.
    """
    parent, _, last = name.rpartition('.')
    try:
        layer = model.get_submodule(name)
    except AttributeError as error:
        raise KeyError(name) from error
    if not isinstance(layer, nn.Linear):
        raise KeyError(name)
    setattr(model.get_submodule(parent), last, Int8Linear(layer))
