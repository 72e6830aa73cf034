"""Frames of a video that are decoded while a model goes through them, so a long video needs no more memory."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vadlab.datasets.video import VideoIndex
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.utils.read_ahead import read_ahead

_AT_ONCE = 16  # frames
_WAITING = 4  # parts of so many frames


class StreamedFrames:
    """All frames of a video as a tensor would hold them, uint8, shape (n, 3, H, W), for one pass.

    Slices are taken in order: they may overlap, but none may begin before an earlier one. A thread decodes ahead.

    Args:
        index (VideoIndex): The video.
        size (tuple[int, int]): Height and width of the frames, in pixels.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.
    """

    dtype = torch.uint8
    ndim = 4

    def __init__(self, index: VideoIndex, size: tuple[int, int], interpolation: str) -> None:
        self.shape = (index.total_frames, 3, *size)
        self._index, self._size, self._interpolation = index, size, interpolation
        self._parts = read_ahead([None], lambda _: self._decoded(), 1, _WAITING)
        self._first = 0  # number of the first frame that is kept
        self._kept = torch.zeros(0, 3, *size, dtype=torch.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Tensor:
        """Frames ``start`` to ``stop``, uint8, shape (stop - start, 3, H, W).

        Raises:
            ValueError: They were passed already.
            DamagedVideoError: They cannot be decoded.
        """
        start, stop, step = part.indices(len(self))
        if start < self._first or step != 1:
            raise ValueError(f'Frames before {self._first} were passed already; {start} to {stop} are wanted.')
        kept = [self._kept]
        end = self._first + len(self._kept)
        while end < stop:
            kept.append(next(self._parts))
            end += len(kept[-1])
        frames = torch.cat(kept)
        self._kept, self._first = frames[start - self._first :], start
        return self._kept[: stop - start]

    def close(self) -> None:
        """Stop decoding."""
        self._parts.close()

    def _decoded(self) -> Iterator[Tensor]:
        pictures = stream_pyav(self._index, np.arange(len(self)), self._size, self._interpolation)
        for first in range(0, len(self), _AT_ONCE):
            part = np.stack([next(pictures) for _ in range(min(_AT_ONCE, len(self) - first))])
            yield torch.from_numpy(part).permute(0, 3, 1, 2).contiguous()
