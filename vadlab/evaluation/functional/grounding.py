"""IoU of pairs of boxes, and grounding accuracy."""

import numpy as np

from vadlab.utils.errors import DataError


def aligned_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of corresponding boxes.

    Args:
        boxes (np.ndarray): x1, y1, x2, y2 in any unit, shape (..., 4). An inverted or empty box has no area.
        others (np.ndarray): Boxes in the same unit and shape.

    Returns:
        np.ndarray: 0..1, float64, shape (...); 0 if both are empty.

    Raises:
        DataError: The shapes differ or do not end in 4.
    """
    boxes, others = np.asarray(boxes, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if boxes.shape != others.shape or boxes.shape[-1:] != (4,):
        raise DataError(f'Boxes have the shapes {boxes.shape} and {others.shape}; expected (..., 4) of both')

    def area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return (high - low).clip(0).prod(axis=-1)

    shared = area(np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:]))
    union = area(boxes[..., :2], boxes[..., 2:]) + area(others[..., :2], others[..., 2:]) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def grounding_accuracy(ious: np.ndarray, threshold: float = 0.5) -> float:
    """Share of the predicted boxes whose IoU with the true one reaches the threshold, 0..1."""
    return float(np.mean(np.asarray(ious) >= threshold))
