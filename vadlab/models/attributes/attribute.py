"""The interface of attributes."""

from abc import abstractmethod

import numpy as np
from torch import nn

from ..objects.objects import Objects


class Attribute(nn.Module):
    """Base class of attributes: one kind of property of objects.

    Measuring (from pixels, slow) and scaling (by the fitted height of a person, fast) are separate, so that
    measurements are cached and do not depend on a fit.
    """

    @abstractmethod
    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Measure the objects of a frame.

        Args:
            frame (np.ndarray): RGB, uint8, shape (H, W, 3).
            flow (np.ndarray | None): Motion, pixels, float32, shape (H, W, 2); None if there is none (a single frame
                between two cuts).
            objects (Objects): M objects.

        Returns:
            np.ndarray: float32, shape (M, D); NaN where it cannot be measured.
        """

    def vectors(self, measured: np.ndarray, boxes: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """Vectors for a density.

        Args:
            measured (np.ndarray): From :meth:`measure`, shape (M, D).
            boxes (np.ndarray): xyxy, pixels, shape (M, 4).
            heights (np.ndarray): Height of a person at the position of each object, in pixels, shape (M,).
        """
        return measured

    def describe(self, vector: np.ndarray) -> str:
        """The vector of one object in words, with units."""
        return ''


def crop_of(box: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a box, at least one pixel each, inside a picture of this shape."""
    height, width = shape[:2]
    x1, y1 = int(np.clip(np.floor(box[0]), 0, width - 1)), int(np.clip(np.floor(box[1]), 0, height - 1))
    x2, y2 = int(np.clip(np.ceil(box[2]), x1 + 1, width)), int(np.clip(np.ceil(box[3]), y1 + 1, height))
    return slice(y1, y2), slice(x1, x2)
