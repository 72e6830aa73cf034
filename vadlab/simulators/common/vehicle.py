"""Drawing cars from the side."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .palette import COLOURS, jitter
from .person import Box

_BODIES = {
    'car': [
        (-0.5, 0.08),
        (-0.5, 0.21),
        (-0.4, 0.24),
        (-0.27, 0.39),
        (0.1, 0.39),
        (0.26, 0.25),
        (0.47, 0.2),
        (0.5, 0.08),
    ],
    'van': [(-0.5, 0.08), (-0.5, 0.46), (-0.47, 0.5), (0.22, 0.5), (0.36, 0.3), (0.48, 0.25), (0.5, 0.2), (0.5, 0.08)],
    'pickup truck': [
        (-0.5, 0.1),
        (-0.5, 0.26),
        (-0.1, 0.26),
        (-0.06, 0.43),
        (0.15, 0.43),
        (0.26, 0.28),
        (0.49, 0.25),
        (0.5, 0.1),
    ],
}
_WINDOWS = {
    'car': [
        [(-0.26, 0.25), (-0.23, 0.36), (-0.1, 0.36), (-0.1, 0.25)],
        [(-0.06, 0.25), (-0.06, 0.36), (0.09, 0.36), (0.21, 0.25)],
    ],
    'van': [[(0.02, 0.31), (0.02, 0.46), (0.2, 0.46), (0.31, 0.31)]],
    'pickup truck': [[(-0.04, 0.28), (-0.02, 0.4), (0.14, 0.4), (0.23, 0.28)]],
}


NOUNS = tuple(_BODIES)


@dataclass(frozen=True)
class Vehicle:
    """Kind, colour and length of a car."""

    noun: str
    colour: str
    paint: tuple[int, int, int]
    length: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Vehicle':
        """A random vehicle, 140 to 180 pixels long."""
        noun = ('car', 'car', 'car', 'van', 'pickup truck')[rng.integers(5)]
        colour = ('red', 'blue', 'white', 'black', 'grey', 'green', 'yellow', 'orange')[rng.integers(8)]
        return cls(noun, colour, jitter(COLOURS[colour], rng), float(rng.uniform(140, 180)))


def draw_vehicle(
    image: np.ndarray,
    vehicle: Vehicle,
    x: float,
    y: float,
    facing: int,
    tilt: float = 0.0,
    damage: float = 0.0,
    crumple: np.ndarray | None = None,
) -> Box:
    """Draw a vehicle whose wheels touch the ground at (x, y).

    Args:
        image: RGB, uint8, shape (H, W, 3); drawn on in place.
        vehicle: Kind, colour, length.
        x: Horizontal centre, pixels.
        y: Ground, pixels.
        facing: 1 to the right, -1 to the left.
        tilt: Angle by which the nose is raised, radians; at pi the car lies on its roof.
        damage: 0 for an intact car, 1 for a crushed front.
        crumple: Random numbers in 0..1, shape (16, 2), for the shape of the damage.

    Returns:
        Bounding box in pixels, not clipped.
    """
    c, s = math.cos(tilt), math.sin(tilt)
    length = vehicle.length
    body = _BODIES[vehicle.noun]
    if damage and crumple is not None:
        body = [
            (
                px - damage * (0.05 + 0.2 * crumple[i, 0]) * (px > 0.2),
                py + damage * (0.13 * crumple[i, 1] - 0.04) * (px > 0.05),
            )
            for i, (px, py) in enumerate(body)
        ]

    # After the rotation, the lowest point is on the ground.
    low = min(px * s + (py - 0.2) * c for px, py in [*body, (-0.3, 0.0), (0.3, 0.0)])

    def place(points: list[tuple[float, float]]) -> np.ndarray:
        turned = [(px * c - (py - 0.2) * s, px * s + (py - 0.2) * c - low) for px, py in points]
        return np.array([(x + facing * px * length, y - py * length) for px, py in turned])

    hull = place(body)
    cv2.fillPoly(image, [hull.round().astype(np.int32)], vehicle.paint, cv2.LINE_AA)
    shade = tuple(int(0.6 * v) for v in vehicle.paint)
    sill = place([(-0.5, 0.08), (-0.5, 0.13), (0.5 - 0.2 * damage, 0.13), (0.5 - 0.2 * damage, 0.08)])
    cv2.fillPoly(image, [sill.round().astype(np.int32)], shade)
    for window in _WINDOWS[vehicle.noun]:
        glass = place(window).round().astype(np.int32)
        cv2.fillPoly(image, [glass], (70, 88, 104) if damage < 0.5 else (150, 160, 168), cv2.LINE_AA)
        if damage:
            centre = glass.mean(0).round().astype(int)
            for corner in glass:
                cv2.line(image, centre.tolist(), corner.tolist(), (230, 236, 240), 1)
    details = []
    if damage:
        seams = place([(0.1, 0.12), (0.2, 0.3), (0.26, 0.12), (0.34, 0.26), (0.4, 0.1)]).round().astype(np.int32)
        details.append(seams)
        cv2.polylines(image, [seams], False, tuple(int(0.35 * v) for v in vehicle.paint), 1, cv2.LINE_AA)
    wheels = place([(-0.3, 0.08), (0.3 - 0.06 * damage, 0.08 + 0.03 * damage)])
    radius = round(0.088 * length)
    for cx, cy in wheels.round().astype(int).tolist():
        cv2.circle(image, (cx, cy), radius, (22, 22, 24), -1, cv2.LINE_AA)
        cv2.circle(image, (cx, cy), radius // 2, (140, 140, 144), -1, cv2.LINE_AA)
    lamps = place([(0.48 - 0.2 * damage, 0.18), (-0.49, 0.19)]).round().astype(int).tolist()
    cv2.circle(image, lamps[0], max(radius // 3, 2), (250, 246, 210), -1)
    cv2.circle(image, lamps[1], max(radius // 3, 2), (200, 30, 30), -1)
    spots = np.array(lamps)
    lamp = max(radius // 3, 2)
    corners = np.concatenate([hull, wheels - radius, wheels + radius, spots - lamp, spots + lamp, *details])
    return (*corners.min(0).tolist(), *corners.max(0).tolist())
