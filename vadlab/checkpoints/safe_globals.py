"""The classes that checkpoints may hold beside tensors: one list for whatever reads files from outside."""

import pickle
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer


def _history_method(owner: type, name: str) -> Any:
    """``getattr`` for the one thing that histories of MMEngine's log need it for: their own statistics.

    MMEngine allows files the real one, through which they reach the globals of any class.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr({owner!r}, {name!r})')
    return getattr(owner, name)


# What checkpoints of OpenMMLab projects hold beside tensors; for torch.serialization.safe_globals.
HARMLESS_GLOBALS: list[Any] = [
    HistoryBuffer,
    (_history_method, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    *(type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'uint8', 'uint32', 'float32', 'float64')),
]
