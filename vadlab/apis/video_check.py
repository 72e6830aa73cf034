"""Looking at one video: can it be decoded, and does it hold what its annotations say."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.datasets.video import index_video, read_frames
from vadlab.utils.errors import VADLabError

_RECIPE = 'v1'  # part of the key: change it when the check changes


def default_cache_dir() -> Path:
    """Where results of earlier checks lie."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'vadlab' / 'verify'


def check_video(path: str, num_frames: int, backend: str, cache_dir: str | None) -> dict[str, Any]:
    """Index a video and decode frames over its whole length, the last one included.

    Args:
        path (str): The file.
        num_frames (int): How many to decode, spread evenly, > 0.
        backend (str): Reader, as for :func:`~vadlab.datasets.video.read_frames`.
        cache_dir (str | None): Folder with results of earlier checks, by path, size and time of change.

    Returns:
        dict[str, Any]: ``total_frames`` and ``fps``, or ``error``.
    """
    cached = None
    if cache_dir is not None:
        try:
            stat = os.stat(path)
        except OSError as error:
            return {'error': f'{path}: {error.strerror}'}
        key = f'{_RECIPE}|{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{num_frames}|{backend}'
        cached = Path(cache_dir) / f'{hashlib.sha256(key.encode()).hexdigest()[:32]}.json'
        if cached.is_file():
            try:
                return json.loads(cached.read_text(encoding='utf-8'))
            except ValueError:
                pass  # cut short by a kill: look again
    try:
        index = index_video(path)
        inds = np.unique(np.linspace(0, index.total_frames - 1, num_frames).round().astype(np.int64))
        read_frames(index, inds, size=(32, 32), backend=backend, interpolation='bilinear')
        result: dict[str, Any] = {'total_frames': int(index.total_frames), 'fps': float(index.fps)}
    except (VADLabError, OSError) as error:
        result = {'error': str(error)}
    if cached is not None:
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_suffix(f'.{os.getpid()}.part')
        part.write_text(json.dumps(result), encoding='utf-8')
        os.replace(part, cached)
    return result
