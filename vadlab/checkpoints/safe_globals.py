"""The classes that checkpoints may hold besides tensors: one list for all readers of untrusted files."""

import pickle
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer


def _history_method(owner: type, name: str) -> Any:
    """``getattr``, restricted to the one use in histories of MMEngine's log: their own statistics.

    MMEngine allows the real ``getattr``, through which a file reaches the globals of any class.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr({owner!r}, {name!r})')
    return getattr(owner, name)


# Classes in checkpoints of OpenMMLab projects besides tensors; for torch.serialization.safe_globals.
HARMLESS_GLOBALS: list[Any] = [
    HistoryBuffer,
    (_history_method, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    *(type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'uint8', 'uint32', 'float32', 'float64')),
]
