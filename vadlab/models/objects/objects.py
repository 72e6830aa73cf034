"""The objects that are found in one frame."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Objects:
    """Objects of a frame, M of them.

    Attributes:
        boxes_xyxy (np.ndarray): Pixels, half-open: x1, y1, x2, y2 with x2 and y2 outside, float32, shape (M, 4).
        class_scores (np.ndarray): Confidence of each class, 0..1, float32, shape (M, C); C is 0 without classes.
    """

    boxes_xyxy: np.ndarray
    class_scores: np.ndarray

    @classmethod
    def none(cls, classes: int = 0) -> 'Objects':
        """No object."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32))

    def __len__(self) -> int:
        return len(self.boxes_xyxy)
