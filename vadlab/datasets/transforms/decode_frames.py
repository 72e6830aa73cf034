import logging
from typing import Annotated

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..video import BACKENDS, FrameCache, index_video, read_frames
from ..video.patch_grid import patch_grid


@TRANSFORMS.register_module()
class DecodeFrames(BaseTransform):
    """Decode the sampled frames at the model's size.

    Required keys: video_path, frame_inds; candidate_inds (optional, with a cache; without it ``frame_inds`` is cached)

    Added keys: frames (uint8, RGB, shape (T, H, W, 3)), img_shape (tuple of H and W)

    Modified keys: frame_inds (only if ``approximate``)

    Args:
        size: Height and width, or one number for both, in pixels. The aspect ratio is not kept; normalised boxes stay
            valid. None with ``max_patches``.
        max_patches: Keep the aspect ratio up to whole patches: the largest size with at most this many patches, see
            :func:`~vadlab.datasets.video.patch_grid.patch_grid`. None with ``size``.
        patch_size: Height and width of a patch in pixels, with ``max_patches``.
        backend: ``auto`` and ``pyav``: planned, exact. ``opencv``: from the start. ``decord``: see
            :mod:`vadlab.datasets.video.decord_reader` for the files on which it is wrong.
        interpolation: ``bilinear``, ``bicubic`` or ``area``.
        cache: Options of :class:`~vadlab.datasets.video.FrameCache` (``dir``, ``format``, ``max_gb``), or None.
        approximate: Only for quick looks: use the nearest keyframe instead of each frame, which decodes only a small
            part. ``frame_inds`` then holds these keyframes.

    Raises:
        ConfigError: An option has an invalid value.
        DamagedVideoError: The file cannot be decoded.
    """

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        backend: str = 'auto',
        interpolation: str = 'bicubic',
        cache: Annotated[dict, FrameCache] | None = None,
        approximate: bool = False,
        max_patches: int | None = None,
        patch_size: int = 16,
    ) -> None:
        if (size is None) == (max_patches is None):
            raise ConfigError(f'DecodeFrames: give size or max_patches; got {size=} and {max_patches=}')
        self.size: tuple[int, int] | None = None
        if size is not None:
            height_width = (size, size) if isinstance(size, int) else tuple(size)
            if len(height_width) != 2 or not all(isinstance(n, int) and n > 0 for n in height_width):
                raise ConfigError(f'DecodeFrames: size must be one or two whole numbers > 0, not {size!r}')
            self.size = height_width
        self.max_patches = max_patches
        self.patch_size = patch_size
        if backend not in BACKENDS:
            raise ConfigError(f'DecodeFrames: there is no backend {backend!r}. Known: {", ".join(BACKENDS)}')
        self.backend = backend
        self.interpolation = interpolation
        self.approximate = approximate
        self.cache: FrameCache | None = None
        if cache is not None:
            unknown = set(cache) - {'dir', 'format', 'max_gb'}
            if unknown or 'dir' not in cache:
                raise ConfigError(f'DecodeFrames: cache takes dir, format and max_gb, not {", ".join(sorted(cache))}')
            self.cache = FrameCache(**cache)
        if approximate:
            print_log('DecodeFrames: approximate, frames are the nearest keyframes', 'current', logging.WARNING)

    def transform(self, results: dict) -> dict:
        path = results['video_path']
        if self.approximate:
            keyframes = index_video(path).keyframe_inds
            if len(keyframes):
                nearest = np.abs(results['frame_inds'][:, None] - keyframes).argmin(1)
                results['frame_inds'] = keyframes[nearest]
                results.pop('candidate_inds', None)
        size = self._size(path)
        results['frames'] = self._read(path, results['frame_inds'], results.get('candidate_inds'), size)
        results['img_shape'] = size
        return results

    def _size(self, path: str) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        index = index_video(path)
        assert self.max_patches is not None
        rows, columns = patch_grid(index.height, index.width, self.max_patches)
        return rows * self.patch_size, columns * self.patch_size

    def _read(self, path: str, inds: np.ndarray, candidates: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
        def decode(which: np.ndarray) -> np.ndarray:
            return read_frames(path, which, size, self.backend, self.interpolation)

        if self.cache is None:
            return decode(inds)
        if candidates is None:
            candidates = np.unique(inds)
        recipe: dict[str, object] = dict(
            backend='pyav' if self.backend == 'auto' else self.backend, size=size, resizer=self.interpolation
        )
        if orientation := index_video(path).orientation:
            recipe['orientation'] = orientation  # older versions did not turn pictures: another key
        select = np.searchsorted(candidates, inds)
        return self.cache.get(path, candidates, recipe, lambda: decode(candidates), select)

    def __repr__(self) -> str:
        size = f'size={self.size}' if self.size else f'max_patches={self.max_patches}'
        return f'{type(self).__name__}({size}, backend={self.backend!r}, cache={self.cache is not None})'
