"""Saving and restoring the random generators of a process."""

import random
from typing import Any

import numpy as np
import torch

from vadlab.utils.errors import CheckpointError


def capture_random_state() -> dict[str, Any]:
    """States of Python's, NumPy's, torch's and, where used, CUDA's generators, as tensors and plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - transforms draw from it
    version, internal, gauss_next = random.getstate()
    state: dict[str, Any] = {
        'python': [version, list(internal), gauss_next],
        'numpy': [str(kind), torch.from_numpy(np.asarray(keys, np.int64)), int(position), int(has_gauss), float(gauss)],
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state_all()
    return state


def check_random_state(state: Any, name: str) -> None:
    """Check that the generators accept the states, without changing the generators.

    Raises:
        CheckpointError: The states in the file ``name`` are not of the form that :func:`capture_random_state` returns.
    """
    now = capture_random_state()
    try:
        restore_random_state(state)
    except Exception as error:  # each generator raises another type
        reason = (str(error).splitlines() or [''])[0][:100] or type(error).__name__
        raise CheckpointError(
            f"{name} cannot be resumed from: its 'random_state' is not a state of the random generators ({reason})."
        ) from error
    finally:
        restore_random_state(now)


def restore_random_state(state: dict[str, Any]) -> None:
    """Set the generators to what :func:`capture_random_state` returned."""
    version, internal, gauss_next = state['python']
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = state['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available() and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([s.cpu() for s in state['cuda']])
