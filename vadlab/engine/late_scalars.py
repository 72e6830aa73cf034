"""Scalars of a training step, read without waiting for the device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LateScalars:
    """Named scalars, copied from the device in one transfer that the host does not wait for.

    Reading one value of a GPU makes the host wait until the GPU has finished everything before it, and then the GPU
    waits for the host. Read these one step later: then they have arrived.

    Args:
        values (Mapping[str, Any]): Numbers or tensors of one element.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self._names = [name for name, value in self._values.items() if torch.is_tensor(value) and value.is_cuda]
        self._event: torch.cuda.Event | None = None
        if self._names:
            stacked = torch.stack([self._values[name].detach().reshape(()).float() for name in self._names])
            self._host = torch.empty(len(self._names), pin_memory=True)
            self._host.copy_(stacked, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    @property
    def is_late(self) -> bool:
        """Whether values are still on their way; False if all are on the host."""
        return self._event is not None

    def read(self) -> dict[str, float]:
        """All values, in their order; waits until they have arrived."""
        if self._event is not None:
            self._event.synchronize()
            self._values |= dict(zip(self._names, self._host.tolist(), strict=True))
            self._event = None
        return {name: _number(value) for name, value in self._values.items()}


def _number(value: Any) -> float:
    return value.item() if isinstance(value, Tensor) else float(value)
