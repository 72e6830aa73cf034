"""Orientation of stored pictures, and how to turn them as a player does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of a picture: rotation by a multiple of 90 degrees, with or without mirroring.

    Attributes:
        transposed: Rows become columns; applied first.
        mirrored: Left and right are swapped.
        upended: Top and bottom are swapped.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    def __bool__(self) -> bool:
        """Whether pictures are changed."""
        return self.transposed or self.mirrored or self.upended

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the turn, or, given a shown size, before it."""
        return (width, height) if self.transposed else (height, width)

    def apply(self, pictures: np.ndarray) -> np.ndarray:
        """Turn stored pictures as a player shows them.

        Args:
            pictures: Shape (..., H, W, 3).

        Returns:
            The turned pictures, contiguous, shape (..., H', W', 3).
        """
        if not self:
            return pictures
        shown = pictures.swapaxes(-3, -2) if self.transposed else pictures
        shown = shown[..., :: -1 if self.upended else 1, :: -1 if self.mirrored else 1, :]
        return np.ascontiguousarray(shown)


#: Pictures are shown as they are stored.
UPRIGHT = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """Orientation of a file, from the display matrix that FFmpeg attaches to its frames.

    A matrix (a, b; c, d) shows the stored point (x, y) at (a x + c y, b x + d y). Angles are rounded to the nearest
    multiple of 90 degrees.

    Args:
        frame: A decoded frame (``av.VideoFrame``).
    """
    if Type.DISPLAYMATRIX not in frame.side_data:
        return UPRIGHT
    matrix = np.frombuffer(bytes(frame.side_data[Type.DISPLAYMATRIX]), np.int32, 9).astype(np.int64)
    a, b, c, d = matrix[[0, 1, 3, 4]].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, mirrored=c < 0, upended=b < 0)
    return Orientation(False, mirrored=a < 0, upended=d < 0)
