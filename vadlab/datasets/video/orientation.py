"""How stored pictures become the ones that a player shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Orientation:
    """A turn by a right angle, a mirror image, or both: one of the eight ways in which a phone or a camera is held.

    Attributes:
        transposed: Rows become columns. This comes first.
        mirrored: Left and right change places.
        upended: Top and bottom change places.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    def __bool__(self) -> bool:
        """Whether anything is done."""
        return self.transposed or self.mirrored or self.upended

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the turn; of a shown size, those before it."""
        return (width, height) if self.transposed else (height, width)

    def apply(self, pictures: np.ndarray) -> np.ndarray:
        """Turn stored pictures.

        Args:
            pictures: Shape (..., H, W, 3).

        Returns:
            The same numbers, as shown, contiguous, shape (..., H', W', 3).
        """
        if not self:
            return pictures
        shown = pictures.swapaxes(-3, -2) if self.transposed else pictures
        shown = shown[..., :: -1 if self.upended else 1, :: -1 if self.mirrored else 1, :]
        return np.ascontiguousarray(shown)


#: Pictures are shown as they are stored.
UPRIGHT = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """The orientation that a file asks for, from the display matrix that FFmpeg attaches to its frames.

    A matrix (a, b; c, d) shows the stored point (x, y) at (a x + c y, b x + d y). Angles between the right ones are
    rounded to the nearest of them.

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
