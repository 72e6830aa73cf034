"""Check one feature file."""

from typing import Any

import numpy as np

from vadlab.datasets.formats.feature_files import open_features
from vadlab.utils.errors import VADLabError

from .checked_files import cached_check

#: Part of the key of a result: change it when the check changes.
FEATURE_RECIPE = 'features v1'
_ROWS = 4096  # rows read at once


def check_feature_file(path: str, cache_dir: str | None) -> dict[str, Any]:
    """Read a whole feature file.

    Args:
        path (str): The ``.npy`` file, shape (T, D) or (T, C, D).
        cache_dir (str | None): Folder with results of earlier checks.

    Returns:
        dict[str, Any]: ``snippets`` (T), ``zeros`` (number of snippets with only zeros), ``norm`` (mean L2 norm of the
        other snippets, 0.0 if there are none); or ``error``.
    """
    return cached_check(path, FEATURE_RECIPE, cache_dir, lambda: read_whole(path))


def read_whole(path: str) -> dict[str, Any]:
    """As :func:`check_feature_file`, without the results of earlier checks."""
    try:
        feats = open_features(path)
        norms = np.concatenate([_norms(feats[i : i + _ROWS]) for i in range(0, len(feats), _ROWS)])
    except (VADLabError, OSError) as error:
        return {'error': str(error)}
    bad = np.flatnonzero(~np.isfinite(norms))
    if len(bad):
        return {'error': f'{path}: NaN or infinite in {len(bad)} of {len(norms)} snippets (first: {bad[0]})'}
    zeros = int((norms == 0).sum())
    norm = float(norms.sum() / (len(norms) - zeros)) if zeros < len(norms) else 0.0
    return {'snippets': len(norms), 'zeros': zeros, 'norm': norm}


def _norms(feats: np.ndarray) -> np.ndarray:
    """L2 norm of each snippet, averaged over crops, shape (T,); not finite if a value of the snippet is not finite."""
    norms = np.linalg.norm(np.asarray(feats, np.float32), axis=-1)
    return norms if norms.ndim == 1 else norms.mean(axis=1)
