# Shapes: s snippets, f frames of a snippet, c crops.
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vadlab.utils.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

#: Orders in which public code numbers its first five crops; the second five are mirrored.
CROP_ORDERS: dict[str, tuple[str, ...]] = {
    # VadCLIP's CLIP features: 0 is the centre, 5 the mirrored centre.
    'centre_first': ('centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right'),
    # torchvision's FiveCrop and TenCrop, which RTFM used; XD-Violence's I3D features.
    'torchvision': ('top_left', 'top_right', 'bottom_left', 'bottom_right', 'centre'),
    # The I3D ResNet-50 script that many use for RTFM.
    'i3d_resnet': ('top_left', 'top_right', 'centre', 'bottom_left', 'bottom_right'),
}
# These mirror the whole frame before they crop, so crop 5 is the mirrored top RIGHT corner; VadCLIP's script crops
# first.
_MIRROR_THEN_CUT = frozenset({'torchvision', 'i3d_resnet'})
NUM_CROPS = (1, 5, 10)


class CropViews:
    """Cut one, five or ten square crops from decoded frames.

    Args:
        size (int): Height and width of a crop, in pixels.
        count (int): 1 (the centre in every order), 5, or 10.
        order (str): A key of :data:`CROP_ORDERS`.

    Raises:
        ConfigError: Another number of crops, or an unknown order.
    """

    def __init__(self, size: int, count: int = 1, order: str = 'centre_first') -> None:
        if count not in NUM_CROPS:
            raise ConfigError(f'CropViews: {count} crops; there are 1, 5 and 10.')
        if order not in CROP_ORDERS:
            raise ConfigError(f'CropViews: crop_order={order!r} is not one of {", ".join(CROP_ORDERS)}.')
        self.size = size
        self.count = count
        self.order = order

    @property
    def names(self) -> list[str]:
        """Position of each crop by its number; ``flip_`` for mirrored crops."""
        if self.count == 1:
            return ['centre']
        names = list(CROP_ORDERS[self.order])
        if self.count == 5:
            return names
        if self.order in _MIRROR_THEN_CUT:
            other = {'left': 'right', 'right': 'left'}
            mirrored = ['_'.join(other.get(word, word) for word in name.split('_')) for name in names]
        else:
            mirrored = names
        return names + [f'flip_{name}' for name in mirrored]

    def corner(self, name: str, height: int, width: int) -> tuple[int, int]:
        """Top and left of a crop, in pixels; an odd margin is rounded as torchvision does."""
        top = {'top': 0, 'bottom': height - self.size}.get(name.split('_')[0], round((height - self.size) / 2.0))
        left = {'left': 0, 'right': width - self.size}.get(name.split('_')[-1], round((width - self.size) / 2.0))
        return top, left

    def __call__(self, frames: 'Tensor') -> 'Tensor':
        """Cut the crops.

        Args:
            frames (Tensor): uint8, shape (s, f, h, w, 3), no side smaller than ``size``.

        Returns:
            Tensor: uint8, shape (s, c, f, 3, size, size).
        """
        import torch  # exported models cut arrays, without torch

        views = self._views(frames.movedim(-1, 2))
        return torch.stack([view.flip(-1) if flip else view for view, flip in views], dim=1)

    def of_arrays(self, frames: np.ndarray) -> np.ndarray:
        """As calling this object, for arrays of the same shapes."""
        views = self._views(np.moveaxis(frames, -1, 2))
        return np.stack([view[..., ::-1] if flip else view for view, flip in views], axis=1)

    def _views(self, planes: Any) -> Iterator[tuple[Any, bool]]:
        """Each crop of frames of shape (s, f, 3, h, w), and whether it has to be mirrored."""
        height, width = planes.shape[-2:]
        for name in self.names:
            top, left = self.corner(name.removeprefix('flip_'), height, width)
            yield planes[..., top : top + self.size, left : left + self.size], name.startswith('flip_')
