"""One function for all video readers."""

import os

import numpy as np

from ...utils.errors import ConfigError
from .decord_reader import read_decord
from .opencv_reader import read_opencv
from .pyav_reader import read_pyav
from .video_index import VideoIndex, index_video

_READERS = {'auto': read_pyav, 'pyav': read_pyav, 'decord': read_decord, 'opencv': read_opencv}
BACKENDS = tuple(_READERS)
INTERPOLATIONS = ('bilinear', 'bicubic', 'area')


def read_frames(
    video: str | VideoIndex,
    frame_inds: np.ndarray,
    size: tuple[int, int] | None = None,
    backend: str = 'auto',
    interpolation: str = 'bicubic',
) -> np.ndarray:
    """Decode some frames of a video at a given size.

    Args:
        video: Path of a file or of a folder of images, or its index. The file is opened and closed here, so any process
            may call this function.
        frame_inds: 0-based indices in presentation order; in any order, repeats allowed; shape (T,).
        size: Height and width of the result, in pixels; None keeps the video's. The aspect ratio is not kept, so
            normalised boxes stay valid.
        backend: ``auto`` and ``pyav`` are exact for every kind of file; ``opencv`` decodes from the start; ``decord``
            is fast, but wrong for some files (see :mod:`vadlab.datasets.video.decord_reader`).
        interpolation: ``bilinear``, ``bicubic`` (CLIP's own) or ``area``.

    Returns:
        RGB, uint8, shape (T, height, width, 3).

    Raises:
        ConfigError: The backend or interpolation is unknown, or a frame is outside the video.
        MissingFileError: There is no such file.
        DamagedVideoError: It cannot be decoded.
    """
    if backend not in _READERS:
        raise ConfigError(f'There is no video backend {backend!r}. Known: {", ".join(BACKENDS)}')
    if interpolation not in INTERPOLATIONS:
        raise ConfigError(f'There is no interpolation {interpolation!r}. Known: {", ".join(INTERPOLATIONS)}')
    index = video if isinstance(video, VideoIndex) else index_video(video)
    distinct, inverse = np.unique(np.asarray(frame_inds, np.int64), return_inverse=True)
    if not len(distinct):
        raise ConfigError(f'{index.path}: no frames asked for')
    if distinct[0] < 0 or distinct[-1] >= index.total_frames:
        raise ConfigError(
            f'{index.path}: frames {distinct[0]} to {distinct[-1]} asked, but it has {index.total_frames} frames'
        )
    reader = read_pyav if os.path.isdir(index.path) else _READERS[backend]
    frames = reader(index, distinct, size or (index.height, index.width), interpolation)
    return frames if len(distinct) == len(inverse) and (np.diff(frame_inds) > 0).all() else frames[inverse]
