"""Contact sheets, to check whether a person would recognise each class."""

import cv2
import numpy as np

from ..common.scene import Scene, scene_seed
from .episode import Episode, scene_kinds


def contact_sheet(
    kind: str, split: str = 'train', rows: int = 4, columns: int = 5, seed: int = 0, story: str = 'events'
) -> np.ndarray:
    """Random frames of a class, each from a different video; anomalous frames unless the class is Normal.

    Args:
        kind: Class.
        split: Split whose scenes are used.
        rows: Rows of pictures.
        columns: Columns of pictures.
        seed: Seed of the pictures.
        story: Key of :data:`STORIES`.

    Returns:
        RGB, uint8, shape (rows * 240, columns * 320, 3), with the boxes of the described regions.
    """
    rng = np.random.default_rng((seed, 5))
    pictures = []
    for i in range(rows * columns):
        episode = Episode(
            Scene.make(scene_seed(split, 500 + seed + 31 * i), scene_kinds(kind)), kind, seed * 1000 + i, story=story
        )
        frame = int(rng.integers(episode.num_frames))
        if episode.event is not None:
            frame = (episode.onset + int(rng.integers(episode.duration))) % episode.num_frames
        image, boxes = episode.render(frame)
        image = image.copy()
        for x0, y0, x1, y1 in boxes.values():
            a, b = (int(320 * x0), int(240 * y0)), (int(320 * x1), int(240 * y1))
            cv2.rectangle(image, a, b, (0, 255, 0), 1)
        pictures.append(image)
    return np.vstack([np.hstack(pictures[r * columns : (r + 1) * columns]) for r in range(rows)])
