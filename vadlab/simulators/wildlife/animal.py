"""Drawing an animal from the side."""

import cv2
import numpy as np

from .behaviours import Pose
from .species import Colour, Look

_SHIFT = 4  # OpenCV's fixed point: sixteenths of a pixel


def draw_animal(image: np.ndarray, look: Look, pose: Pose, ground: float, eyeshine: bool = False) -> None:
    """Draw an animal into a picture, in place.

    Args:
        image (np.ndarray): RGB, uint8, shape (H, W, 3).
        look (Look): Look of the individual.
        pose (Pose): Position and pose.
        ground (float): Row of the ground, pixels.
        eyeshine (bool): Whether its eyes reflect the camera's flash.
    """
    size = look.body * image.shape[1]
    brush = _Brush(image, pose.x * image.shape[1], ground - pose.lift * size, size, pose.facing)
    coat, dark = look.coat, _scaled(look.coat, 0.62)
    half, middle = look.depth / 2, look.legs + look.depth / 2 - 0.04

    for far in (True, False):
        for hip, lag in ((-0.36, 0.0), (0.34, np.pi)):
            swing = 0.5 * pose.reach * np.sin(pose.stride + lag + (np.pi if far else 0))
            # During a leap the legs hang, so that they give no further hint.
            foot = (hip + swing * look.legs, 0.0)
            brush.line([(hip, middle - 0.1), (hip + 0.5 * swing * look.legs + 0.02, look.legs / 2), foot], 0.09,
                       dark if far else _scaled(coat, 0.85))  # fmt: skip
        if far:
            brush.ellipse((0.0, middle), (0.52, half), coat)
            brush.ellipse((0.05, middle - 0.55 * half), (0.4, 0.42 * half), _scaled(coat, 1.2))
    if look.tail > 0.2:
        path = [(-0.48, middle + 0.1), (-0.48 - 0.5 * look.tail, middle + 0.02), (-0.48 - look.tail, middle + 0.22)]
        brush.line(path, 0.1, coat)
        if look.banded:
            for share in (0.35, 0.65, 0.95):
                x = -0.48 - share * look.tail
                brush.line([(x, middle - 0.02 + 0.2 * share), (x, middle + 0.08 + 0.2 * share)], 0.07, (38, 30, 24))
    else:
        brush.ellipse((-0.5, middle + 0.12), (look.tail, look.tail), _scaled(coat, 1.35))
    if look.banded:
        for x in (-0.34, -0.17, 0.0, 0.17, 0.34):
            reach = 0.92 * half * float(np.sqrt(1 - (x / 0.52) ** 2))
            brush.line([(x, middle - 0.7 * reach), (x + 0.02, middle + reach)], 0.075, (38, 30, 24))

    # Neck and head rotate about the shoulder, from 60 degrees up to the ground.
    angle = np.deg2rad(62 - 118 * pose.head)
    shoulder = (0.42, middle + 0.12)
    length = look.neck + 0.16
    nape = (shoulder[0] + length * np.cos(angle), shoulder[1] + length * np.sin(angle))
    brush.line([shoulder, nape], 0.2, coat)
    down = -0.25 - 0.5 * pose.head
    nose = (nape[0] + look.head * np.cos(down), nape[1] + look.head * np.sin(down))
    if look.ears > 0.2:
        for tilt in (1.85, 2.2):
            tip = (nape[0] + look.ears * np.cos(tilt + down), nape[1] + look.ears * np.sin(tilt + down))
            brush.line([nape, tip], 0.1, _scaled(coat, 0.9))
    else:
        brush.ellipse((nape[0] - 0.02, nape[1] + 0.12), (look.ears, look.ears), dark)
    if look.horned:
        for tilt in (1.45, 1.8):
            mid = (nape[0] + 0.2 * np.cos(tilt + down), nape[1] + 0.2 * np.sin(tilt + down))
            tip = (mid[0] - 0.1, mid[1] + 0.22)
            brush.line([nape, mid, tip], 0.06, (226, 214, 190))
    centre = ((nape[0] + nose[0]) / 2, (nape[1] + nose[1]) / 2)
    brush.ellipse(centre, (look.head / 2 + 0.04, 0.13), coat, np.rad2deg(down))
    brush.ellipse(nose, (0.045, 0.045), (30, 24, 20))
    eye = (nape[0] + 0.32 * look.head, nape[1] + 0.05)
    brush.ellipse(eye, (0.05, 0.05) if eyeshine else (0.03, 0.03), (255, 255, 255) if eyeshine else (16, 12, 10))


class _Brush:
    """Drawing in units of the body's length, with x forwards and y up from the ground."""

    def __init__(self, image: np.ndarray, x: float, y: float, size: float, facing: int) -> None:
        self.image, self.x, self.y, self.size, self.facing = image, x, y, size, facing

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        path = np.array([self._at(point) for point in points], np.int32)
        cv2.polylines(self.image, [path], False, colour, max(1, round(width * self.size)), cv2.LINE_AA, shift=_SHIFT)

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], colour: Colour, angle: float = 0.0
    ) -> None:
        radii = (round(axes[0] * self.size * 2**_SHIFT), round(axes[1] * self.size * 2**_SHIFT))
        cv2.ellipse(
            self.image, self._at(centre), radii, -angle * self.facing, 0, 360, colour, -1, cv2.LINE_AA, shift=_SHIFT
        )

    def _at(self, point: tuple[float, float]) -> tuple[int, int]:
        x, y = self.x + self.facing * point[0] * self.size, self.y - point[1] * self.size
        return round(x * 2**_SHIFT), round(y * 2**_SHIFT)


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(v * factor)) for v in colour)
    return red, green, blue
