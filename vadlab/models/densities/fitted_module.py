"""A module whose buffers are created by a fit, so that their shapes are not known in advance."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class FittedModule(nn.Module):
    """Base class of modules with fitted buffers: they are empty before the fit, and may have any shape when loaded.

    Args:
        **dtypes (torch.dtype): Name and dtype of each fitted buffer.
    """

    def __init__(self, **dtypes: torch.dtype) -> None:
        super().__init__()
        self._fitted = tuple(dtypes)
        for name, dtype in dtypes.items():
            self.register_buffer(name, torch.zeros(0, dtype=dtype))

    def take_shapes(self, state_dict: Mapping[str, Tensor], prefix: str) -> None:
        """Give the fitted buffers the shapes that they have in a state; their values are then undefined."""
        for name in self._fitted:
            saved = state_dict.get(prefix + name)
            own = getattr(self, name)
            if saved is not None and saved.shape != own.shape:
                setattr(self, name, torch.zeros(saved.shape, dtype=own.dtype, device=own.device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        self.take_shapes(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
