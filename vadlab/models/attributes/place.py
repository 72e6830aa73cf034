import numpy as np

from vadlab.registry import MODELS

from ..objects.objects import Objects
from .attribute import Attribute


@MODELS.register_module()
class Place(Attribute):
    """Position and size of an object: middle of the box's lower side as shares of the frame's width and height, and the
    box's width and height in heights of a person.
    """

    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Place, 0..1, shape (M, 2)."""
        boxes = objects.boxes_xyxy
        height, width = frame.shape[:2]
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        return np.stack([middle / width, boxes[:, 3] / height], axis=1).astype(np.float32)

    def vectors(self, measured: np.ndarray, boxes: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """Place and size, shape (M, 4)."""
        return np.concatenate([measured, (boxes[:, 2:] - boxes[:, :2]) / heights[:, None]], axis=1)

    def describe(self, vector: np.ndarray) -> str:
        """Place and size in words."""
        return f'at {vector[0]:.0%}, {vector[1]:.0%} of the frame, {vector[2]:.2f} x {vector[3]:.2f} heights'
