"""Check that one video can be decoded."""

from typing import Any

import numpy as np

from vadlab.datasets.video import index_video, read_frames
from vadlab.utils.errors import VADLabError

from .checked_files import cached_check

_RECIPE = 'v1'  # part of the key: change it when the check changes


def check_video(path: str, num_frames: int, backend: str, cache_dir: str | None) -> dict[str, Any]:
    """Index a video and decode frames over its whole length, the last one included.

    Args:
        path (str): The file.
        num_frames (int): Number of evenly spaced frames to decode, > 0.
        backend (str): Reader, as for :func:`~vadlab.datasets.video.read_frames`.
        cache_dir (str | None): Folder with results of earlier checks, by path, size and modification time.

    Returns:
        dict[str, Any]: ``total_frames`` and ``fps``, or ``error``.
    """
    return cached_check(
        path, video_recipe(num_frames, backend), cache_dir, lambda: decode_some(path, num_frames, backend)
    )


def video_recipe(num_frames: int, backend: str) -> str:
    """Name and version of the check."""
    return f'{_RECIPE}|{num_frames}|{backend}'


def decode_some(path: str, num_frames: int, backend: str) -> dict[str, Any]:
    """As :func:`check_video`, without the results of earlier checks."""
    try:
        index = index_video(path)
        inds = np.unique(np.linspace(0, index.total_frames - 1, num_frames).round().astype(np.int64))
        read_frames(index, inds, size=(32, 32), backend=backend, interpolation='bilinear')
        return {'total_frames': int(index.total_frames), 'fps': float(index.fps)}
    except (VADLabError, OSError) as error:
        return {'error': str(error)}
