"""Changes of decoded frames that transforms and exported models share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ...utils.errors import ConfigError

#: Transforms of a test pipeline that only change pixels.
PIXEL_STEPS = ('Resize', 'SquareCrop', 'BlankFrames')


def resized(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames at another size; the aspect ratio is not kept.

    Args:
        frames (np.ndarray): uint8, shape (T, H, W, 3).
        size (tuple[int, int]): Height and width, in pixels.
    """
    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    # INTER_AREA averages when it shrinks, and interpolates when it enlarges.
    shrinks = height * width < frames.shape[1] * frames.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in frames])


def square_part(frames: np.ndarray, start: int | None = None) -> np.ndarray:
    """The largest square of frames.

    Args:
        frames (np.ndarray): uint8, shape (T, H, W, 3).
        start (int | None): Where the square begins along the longer side, in pixels; None for the middle.

    Returns:
        np.ndarray: uint8, shape (T, S, S, 3), a view.
    """
    height, width = frames.shape[1:3]
    side = min(height, width)
    if start is None:
        start = (max(height, width) - side) // 2
    y, x = (start, 0) if height > width else (0, start)
    return frames[:, y : y + side, x : x + side]


def pixel_changes(steps: Sequence[Mapping[str, Any]]) -> Callable[[np.ndarray], np.ndarray] | None:
    """The steps of a test pipeline in :data:`PIXEL_STEPS` as one function of frames; None if nothing changes.

    Args:
        steps (Sequence[Mapping]): Configs of transforms, in their order; others are skipped.

    Returns:
        Callable | None: Takes and returns frames, uint8, shape (T, H, W, 3).

    Raises:
        ConfigError: A step draws random numbers.
    """
    changes: list[Callable[[np.ndarray], np.ndarray]] = []
    for step in steps:
        kind, enabled = step['type'], step.get('enabled', True)
        if kind == 'Resize':
            size = step['size']
            changes.append(_resize((size, size) if isinstance(size, int) else (size[0], size[1])))
        elif kind == 'SquareCrop' and enabled:
            if step.get('position', 'center') != 'center':
                raise ConfigError("The test pipeline crops at random. Set position='center' of SquareCrop.")
            changes.append(square_part)
        elif kind == 'BlankFrames' and enabled:
            changes.append(np.zeros_like)
    if not changes:
        return None

    def change(frames: np.ndarray) -> np.ndarray:
        for one in changes:
            frames = one(frames)
        return frames

    return change


def _resize(size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda frames: resized(frames, size)
