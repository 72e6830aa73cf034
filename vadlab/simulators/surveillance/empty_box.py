"""Empty parts of a picture."""

from collections.abc import Sequence

import numpy as np

from ..common.person import Box


def empty_box(boxes: Sequence[Box], rng: np.random.Generator, attempts: int = 10) -> Box | None:
    """A random box that touches none of ``boxes``, xyxyn; None if no attempt finds one."""
    for _ in range(attempts):
        w, h = rng.uniform(0.12, 0.3, 2)
        x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
        if all(x >= x1 or x + w <= x0 or y >= y1 or y + h <= y0 for x0, y0, x1, y1 in boxes):
            return float(x), float(y), float(x + w), float(y + h)
    return None
