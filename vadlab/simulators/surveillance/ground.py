"""Perspective of the surveillance scenes: where people can stand, and how large things are there."""

from ..common.scene import HEIGHT, Scene

_FAR_SIZE, _NEAR_SIZE = 0.46, 0.78
_NEAR_Y = 232.0
_FAR_Y = 128.0


def walkable(scene: Scene) -> tuple[float, float]:
    """Smallest and largest y of feet and wheels, in pixels."""
    return min(scene.horizon + 26.0, 176.0), _NEAR_Y


def size_at(y: float) -> float:
    """Factor of all lengths at ground position ``y``; a person of 126 pixels has the factor 1.

    >>> size_at(232), round(size_at(180), 2)
    (0.78, 0.62)
    """
    depth = (min(max(y, 0.0), HEIGHT) - _FAR_Y) / (_NEAR_Y - _FAR_Y)
    return _FAR_SIZE + (_NEAR_SIZE - _FAR_SIZE) * depth
