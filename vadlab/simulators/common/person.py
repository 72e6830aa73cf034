"""Drawing people as jointed figures."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .palette import COLOURS, jitter

Box = tuple[float, float, float, float]
Point = tuple[float, float]

_SKINS = ((238, 205, 180), (214, 168, 132), (160, 112, 80), (98, 66, 48))
_HAIRS = ((30, 24, 20), (80, 55, 35), (150, 115, 70), (120, 120, 120))
GARMENTS = {'man': ('jacket', 'shirt', 'hoodie', 'sweater'), 'woman': ('coat', 'jacket', 'shirt', 'dress')}


@dataclass(frozen=True)
class Look:
    """Clothes of a person; colours are RGB."""

    noun: str
    garment: str
    colour: str
    top: tuple[int, int, int]
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    build: float = 1.0
    masked: bool = False

    @classmethod
    def sample(cls, rng: np.random.Generator, masked: bool = False) -> 'Look':
        """A random look; a masked person is dark from head to foot."""
        noun = 'man' if masked or rng.random() < 0.6 else 'woman'
        garment = 'hoodie' if masked else str(rng.choice(GARMENTS[noun]))
        names = ('black', 'black', 'grey', 'blue') if masked else tuple(COLOURS)
        colour = str(rng.choice(names))
        trousers = ('black', 'blue', 'grey', 'brown', 'black')[rng.integers(5)]
        return cls(
            noun=noun,
            garment=garment,
            colour=colour,
            top=jitter(COLOURS[colour], rng),
            trousers=jitter(COLOURS[trousers], rng),
            skin=_SKINS[rng.integers(len(_SKINS))],
            hair=_HAIRS[rng.integers(len(_HAIRS))],
            build=float(rng.uniform(0.9, 1.2)),
            masked=masked,
        )


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians, 0 hanging down, positive forward (the way the person faces).

    A limb is (upper angle, bend of its lower half relative to the upper half). ``tilt`` turns the whole body backward;
    at pi/2 it lies on its back.
    """

    lean: float = 0.0
    near_arm: Point = (0.1, 0.2)
    far_arm: Point = (-0.1, 0.2)
    near_leg: Point = (0.08, -0.05)
    far_leg: Point = (-0.08, -0.05)
    tilt: float = 0.0


def stand(phase: float) -> Pose:
    """Standing with a slight sway."""
    sway = 0.04 * math.sin(phase)
    return Pose(lean=sway, near_arm=(0.08 + sway, 0.25), far_arm=(-0.1 - sway, 0.2))


def walk(phase: float, stride: float = 0.5) -> Pose:
    """Walking cycle; with a ``stride`` of 0.9, running."""
    s, c = math.sin(phase), math.cos(phase)
    return Pose(
        lean=0.12 * stride,
        near_arm=(-0.9 * stride * s, 0.3 + 0.9 * max(stride - 0.5, 0)),
        far_arm=(0.9 * stride * s, 0.3 + 0.9 * max(stride - 0.5, 0)),
        near_leg=(stride * s, -0.5 * stride * (1 - c)),
        far_leg=(-stride * s, -0.5 * stride * (1 + c)),
    )


def punch(phase: float) -> Pose:
    """Punching: one arm stretched out, the other guarding."""
    near, far = (1.5, 0.1), (0.8, 1.7)
    if math.sin(phase) < 0:
        near, far = far, near
    return Pose(0.32, near, far, (0.65, -0.5), (-0.7, -0.1))


def grapple(phase: float) -> Pose:
    """Grappling: both arms around the other person, body bent forward."""
    return Pose(0.5 + 0.1 * math.sin(phase), (1.5, 0.3), (1.8, 0.2), (0.55, -0.7), (-0.6, -0.2))


def kick(phase: float) -> Pose:
    """Kicking with one leg."""
    return Pose(-0.25, (0.6, 1.5), (-0.7, 0.6), (1.35 + 0.2 * math.sin(phase), -0.15), (-0.15, -0.1))


def hands_up(phase: float) -> Pose:
    """Both arms above the head."""
    s = 0.06 * math.sin(phase)
    return Pose(-0.06, (2.3 + s, 0.55), (-2.35 + s, -0.5), (0.15, -0.1), (-0.17, -0.05))


def kneel_hands_up(phase: float) -> Pose:
    """Kneeling with raised hands."""
    return replace(hands_up(phase), near_leg=(0.25, -1.75), far_leg=(-0.05, -1.5))


def aim(phase: float) -> Pose:
    """One arm stretched out horizontally."""
    s = 0.03 * math.sin(phase)
    return Pose(0.08, (1.55 + s, 0.02), (0.5, 0.9), (0.35, -0.15), (-0.35, -0.05))


def swing(phase: float) -> Pose:
    """Swinging an object from overhead with both arms."""
    a = 1.95 + 0.75 * math.sin(phase)
    return Pose(0.3 - 0.2 * math.sin(phase), (a, 0.1), (a - 0.15, 0.1), (0.45, -0.2), (-0.5, -0.05))


def reach(phase: float, height: float = 1.9) -> Pose:
    """One arm stretched towards a wall."""
    return Pose(0.08, (height + 0.25 * math.sin(phase), 0.1), (-0.1, 0.3))


def lie(phase: float) -> Pose:
    """Lying on the ground."""
    return Pose(0.0, (0.7, 0.3), (-0.6, 0.4), (0.2, -0.4), (-0.15, -0.2), tilt=1.5 + 0.02 * math.sin(phase))


def sit(phase: float) -> Pose:
    """Sitting on a bench."""
    return Pose(-0.1 + 0.02 * math.sin(phase), (0.5, 0.7), (0.4, 0.6), (1.45, -1.4), (1.35, -1.35))


def talk_on_phone(phase: float) -> Pose:
    """One hand at the ear."""
    return replace(stand(phase), near_arm=(0.5, 2.4))


def wave(phase: float) -> Pose:
    """One arm up, waving."""
    return replace(stand(phase), near_arm=(2.4, 0.4 + 0.4 * math.sin(3 * phase)))


def push(phase: float) -> Pose:
    """Walking with both hands on a handle."""
    return replace(walk(phase, 0.4), near_arm=(0.75, 0.5), far_arm=(0.7, 0.5), lean=0.12)


def carry(phase: float) -> Pose:
    """Walking with an object held in front."""
    return replace(walk(phase, 0.4), near_arm=(0.4, 1.1), far_arm=(0.35, 1.1))


@dataclass(frozen=True)
class Figure:
    """Positions of the parts of a drawn person, in pixels."""

    box: Box
    near_hand: Point
    far_hand: Point
    head: Point


def _limb(origin: Point, upper: float, bend: float, length: float) -> tuple[Point, Point]:
    joint = (origin[0] + length * math.sin(upper), origin[1] - length * math.cos(upper))
    lower = upper + bend
    return joint, (joint[0] + 0.95 * length * math.sin(lower), joint[1] - 0.95 * length * math.cos(lower))


def draw_person(image: np.ndarray, look: Look, x: float, y: float, height: float, facing: int, pose: Pose) -> Figure:
    """Draw a person standing at (x, y).

    Args:
        image: RGB, uint8, shape (H, W, 3); drawn on in place.
        look: Clothes.
        x: Horizontal position of the hips, pixels.
        y: Ground, on which the lowest point of the body is, pixels.
        height: Height of the upright person, pixels.
        facing: 1 to the right, -1 to the left.
        pose: Joint angles.

    Returns:
        Bounding box and positions of hands and head, in pixels, not clipped to the image.
    """
    lean = pose.lean
    shoulder = (0.31 * math.sin(lean), 0.31 * math.cos(lean))
    head = (shoulder[0] + 0.125 * math.sin(1.2 * lean), shoulder[1] + 0.125 * math.cos(1.2 * lean))
    near_elbow, near_hand = _limb(shoulder, *pose.near_arm, 0.17)
    far_elbow, far_hand = _limb(shoulder, *pose.far_arm, 0.17)
    near_knee, near_foot = _limb((0, 0), *pose.near_leg, 0.25)
    far_knee, far_foot = _limb((0, 0), *pose.far_leg, 0.25)
    points = [(0.0, 0.0), shoulder, head, near_elbow, near_hand, far_elbow, far_hand, near_knee, near_foot, far_knee]
    points.append(far_foot)
    if pose.tilt:
        c, s = math.cos(pose.tilt), math.sin(pose.tilt)
        points = [(px * c - py * s, px * s + py * c) for px, py in points]
    low = min(py for _, py in points) - 0.04
    placed = [(x + facing * px * height, y - (py - low) * height) for px, py in points]
    hip, shoulder, head, near_elbow, near_hand, far_elbow, far_hand, near_knee, near_foot, far_knee, far_foot = [
        (round(px), round(py)) for px, py in placed
    ]
    build = look.build * height
    leg, arm = max(round(0.085 * build), 2), max(round(0.07 * build), 2)
    shade = tuple(int(0.75 * v) for v in look.top)
    dark = tuple(int(0.8 * v) for v in look.trousers)
    for a, b, end, colour, thickness in (
        (shoulder, far_elbow, far_hand, shade, arm),
        (hip, far_knee, far_foot, dark, leg),
        (hip, near_knee, near_foot, look.trousers, leg),
    ):
        cv2.line(image, a, b, colour, thickness, cv2.LINE_AA)
        cv2.line(image, b, end, colour, thickness, cv2.LINE_AA)
    for foot in (near_foot, far_foot):
        cv2.ellipse(image, (foot[0] + facing * leg // 2, foot[1]), (leg, leg // 2), 0, 0, 360, (35, 30, 28), -1)
    chest = (round(shoulder[0] * 0.9 + hip[0] * 0.1), round(shoulder[1] * 0.9 + hip[1] * 0.1))
    cv2.line(image, hip, chest, look.top, max(round(0.18 * build), 3), cv2.LINE_AA)
    if look.garment in ('dress', 'coat'):
        knees = ((near_knee[0] + far_knee[0]) // 2, (near_knee[1] + far_knee[1]) // 2)
        cv2.line(image, hip, knees, look.top, max(round(0.19 * build), 3), cv2.LINE_AA)
    radius = max(round(0.075 * height), 2)
    cv2.circle(image, head, radius, look.top if look.masked else look.skin, -1, cv2.LINE_AA)
    if look.masked:
        eyes = (head[0] + facing * radius // 2, head[1] - radius // 4)
        cv2.ellipse(image, eyes, (radius // 2, max(radius // 4, 1)), 0, 0, 360, look.skin, -1)
    else:
        crown = (head[0] - facing * radius // 4, head[1] - radius // 3)
        cv2.ellipse(image, crown, (radius, round(0.75 * radius)), 0, 180, 360, look.hair, -1, cv2.LINE_AA)
        if look.noun == 'woman':
            back = (head[0] - facing * round(0.7 * radius), head[1] + radius // 3)
            cv2.ellipse(image, back, (round(0.55 * radius), round(1.1 * radius)), 0, 0, 360, look.hair, -1)
    # A dark outline separates the near arm from the body behind it.
    seam = tuple(int(0.45 * v) for v in look.top)
    for colour, thickness in ((seam, arm + 3), (look.top, arm)):
        cv2.line(image, shoulder, near_elbow, colour, thickness, cv2.LINE_AA)
        cv2.line(image, near_elbow, near_hand, colour, thickness, cv2.LINE_AA)
    for hand in (near_hand, far_hand):
        cv2.circle(image, hand, max(arm // 2 + 1, 2), look.skin, -1)
    trunk = 0.5 * max(round(0.18 * build), 3)
    reach_of = [trunk, trunk, radius, *[arm / 2 + 1] * 4, leg / 2, leg / 2, leg / 2, leg / 2]
    rims = [(px, py, r, r) for (px, py), r in zip(placed, reach_of, strict=True)]
    rims += [(foot[0] + facing * leg // 2, foot[1], leg, leg / 2) for foot in (near_foot, far_foot)]
    box = (
        min(px - rx for px, _, rx, _ in rims),
        min(py - ry for _, py, _, ry in rims),
        max(px + rx for px, _, rx, _ in rims),
        max(py + ry for _, py, _, ry in rims),
    )
    return Figure(box, placed[4], placed[6], placed[2])
