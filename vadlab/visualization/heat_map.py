"""A heat map over a frame."""

import cv2
import numpy as np


def draw_heat_map(
    frame: np.ndarray, heat: np.ndarray, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Lay a heat map over a frame: blue at ``low``, red at ``high``.

    Args:
        frame (np.ndarray): RGB, uint8, shape (H, W, 3).
        heat (np.ndarray): float, shape (h, w); scaled to the frame.
        low (float | None): Value of blue; the lowest one by default.
        high (float | None): Value of red; the highest one by default.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).
    """
    low = float(heat.min()) if low is None else low
    high = float(heat.max()) if high is None else high
    level = np.clip((heat - low) / max(high - low, 1e-12), 0, 1)
    level = cv2.resize(level.astype(np.float32), frame.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.applyColorMap((level * 255).round().astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return (frame * 0.5 + colours * 0.5).round().astype(np.uint8)
