# Shapes: n rows (tokens), i input channels, o output channels.
import torch
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """A linear layer for inference whose weights are 8-bit integers: a quarter of the memory, products of integers.

    Weights are rounded once, with a scale for each output channel; inputs at each call, with a scale for each row
    ("dynamic"): both symmetric, by their largest magnitude over 127. Products add up in 32-bit integers, exactly.

    torch.ao.quantization is being removed from torch. torchao, where it goes on, computes the same by the same integer
    product, but keeps weights in tensor classes of its own, which a weights-only reader does not take; here a
    checkpoint stays one of plain tensors.

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
        """The weights as they are used, float32, shape (o, i)."""
        return self.weight_int8 * self.weight_scale[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T + bias``, x rounded to 8 bits, shape (..., i) to (..., o)."""
        rows = x.flatten(0, -2) if x.ndim > 1 else x[None]
        rows_int8, scale = _round(rows.float())
        if x.is_cpu:
            products_no = torch._int_mm(rows_int8, self.weight_int8.T)
        else:  # integer products of other devices take certain shapes alone
            products_no = rows_int8.float() @ self.weight_int8.float().T
        out_no = products_no * (scale * self.weight_scale)
        if self.bias is not None:
            out_no = out_no + self.bias
        return out_no.to(x.dtype).view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """For printing."""
        return f'{self.in_features}, {self.out_features}, bias={self.bias is not None}'


def _round(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Integers in -127..127, int8, and the scale of each row, shape (n, 1)."""
    scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    return (rows / scale).round().to(torch.int8), scale


def quantize_linears(model: nn.Module, smallest: int = 64) -> list[str]:
    """Replace a model's linear layers by :class:`Int8Linear`, in place.

    Args:
        model (nn.Module): Trained.
        smallest (int): Layers with fewer input or output channels stay as they are: there is nothing to gain, and the
            last layer, of the classes, is among them.

    Returns:
        list[str]: Names of the layers.
    """
    names = [
        name
        for name, layer in model.named_modules()
        # Subclasses of nn.Linear may be read rather than called.
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
