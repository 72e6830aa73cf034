"""Drawing the objects of a frame in depth order, and collecting their boxes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..common.person import Box
from ..common.scene import Scene
from .conditions import Conditions

Painter = Callable[[np.ndarray], Box | None]


@dataclass
class Stage:
    """List of the objects to draw in one frame.

    Attributes:
        scene: Place and camera.
        frame: Frame number.
        fps: Frames per second.
        rng: Random generator of this frame, for flicker; depends only on the episode and the frame.
        conditions: Light, rain and camera shake.
        boost: Additional light, 0..1.
    """

    scene: Scene
    frame: int
    fps: float
    rng: np.random.Generator
    conditions: Conditions = field(default_factory=Conditions)
    boost: float = 0.0
    _items: list[tuple[float, int, Painter, str | None]] = field(default_factory=list)
    _lights: list[tuple[Painter, str | None]] = field(default_factory=list)

    @property
    def clock(self) -> float:
        """Seconds since the video's start."""
        return self.frame / self.fps

    def put(self, y: float, paint: Painter, role: str | None = None) -> None:
        """Draw an object whose foot is at ``y``; objects lower in the image cover higher ones."""
        self._items.append((y, len(self._items), paint, role))

    def light(self, paint: Painter, role: str | None = None) -> None:
        """Draw a light source, over everything and independent of the exposure."""
        self._lights.append((paint, role))

    def shoot(self) -> tuple[np.ndarray, dict[str, Box]]:
        """Draw all objects.

        Returns:
            The frame, RGB uint8 of shape (240, 320, 3), and the box of each role in pixels, not clipped.
        """
        image = self.scene.background.copy()
        boxes: dict[str, Box] = {}
        for _, _, paint, role in sorted(self._items, key=lambda item: item[:2]):
            _note(boxes, role, paint(image))
        image = self.scene.camera.expose(image, self.clock, self.boost)
        image = self.conditions.illuminate(image)
        for paint, role in self._lights:
            _note(boxes, role, paint(image))
        image = self.conditions.weather(image, self.rng)
        dx, dy = self.conditions.offset(self.frame)
        if dx or dy:
            matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
            image = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
            boxes = {role: (x0 + dx, y0 + dy, x1 + dx, y1 + dy) for role, (x0, y0, x1, y1) in boxes.items()}
        return self.scene.camera.capture(image, self.rng), boxes


def _note(boxes: dict[str, Box], role: str | None, box: Box | None) -> None:
    if role is None or box is None:
        return
    if role in boxes:
        a = boxes[role]
        box = (min(a[0], box[0]), min(a[1], box[1]), max(a[2], box[2]), max(a[3], box[3]))
    boxes[role] = box
