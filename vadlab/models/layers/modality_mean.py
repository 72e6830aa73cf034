import torch
from torch import Tensor


class ModalityMean:
    """Mean over the modalities that each clip has.

    Args:
        batch_size (int): Number of clips b.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._parts: list[tuple[Tensor, Tensor | None]] = []

    def add(self, values: Tensor, rows: Tensor | None) -> None:
        """Add the values of one modality, shape (m, ...), for the clips ``rows``, shape (m,); None means all clips."""
        self._parts.append((values, rows))

    def result(self, otherwise: Tensor) -> Tensor:
        """Means, shape (b, ...); clips without any modality get their row of ``otherwise``, of the same shape."""
        if all(rows is None for _, rows in self._parts) and self._parts:
            return torch.stack([values for values, _ in self._parts]).mean(0)
        total = torch.zeros_like(otherwise)
        count = torch.zeros(self.batch_size, *[1] * (otherwise.ndim - 1), device=otherwise.device)
        for values, rows in self._parts:
            places = torch.arange(self.batch_size, device=total.device) if rows is None else rows
            total = total.to(values.dtype).index_add(0, places, values)
            count = count.index_add(0, places, count.new_ones(len(places), *count.shape[1:]))
        return torch.where(count > 0, total / count.clamp(min=1).to(total.dtype), otherwise.to(total.dtype))
