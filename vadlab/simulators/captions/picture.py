"""Drawing the content of a caption, in the scenes and with the people of the synthetic videos.

So the small CLIP that was trained on those videos also gives useful patches of these pictures.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from ..common.palette import COLOURS, jitter
from ..common.person import Look, Pose, draw_person, hands_up, kneel_hands_up, lie, stand, walk, wave
from ..common.scene import HEIGHT, WIDTH, Scene
from ..common.vehicle import Vehicle, draw_vehicle
from .content import PEOPLE, VEHICLES, Content, Group

_PERSON_HEIGHT = 140  # in a frame of 240: a patch of 16 out of 128 pixels is 30 high
_RUNNING_STRIDE = 1.0


def _kneel(phase: float) -> Pose:
    return replace(kneel_hands_up(phase), near_arm=(0.1, 0.2), far_arm=(-0.1, 0.2))


_POSES: dict[str, Callable[[float], Pose]] = {
    'standing': stand,
    'walking': walk,
    'running': lambda phase: walk(phase, _RUNNING_STRIDE),
    'waving': wave,
    'lying on the ground': lie,
    'raising both hands': hands_up,
    'kneeling': _kneel,
}


def draw_content(content: Content, scene_seed: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a picture with a given content.

    Args:
        content: Content of the picture.
        scene_seed: From :func:`~vadlab.simulators.common.scene.scene_seed`; determines the background and the camera.
        rng: Source of random positions, directions and shades.

    Returns:
        np.ndarray: RGB, uint8, shape (240, 320, 3).
    """
    scene = Scene.make(scene_seed, (content.place,))
    image = scene.background.copy()
    ground = float(rng.uniform(*scene.floor))
    if content.other is not None and content.relation is not None:
        near, far = WIDTH * 0.25, WIDTH * 0.73
        if content.relation == 'to the right of':
            near, far = far, near
        items = [(near, content.subject, content.action), (far, content.other, None)]
    else:
        count = content.subject.count
        gap = min(_room(content.subject, content.action), WIDTH / count)
        centre = float(rng.uniform(gap * count / 2, WIDTH - gap * count / 2))
        items = [(centre + (k - (count - 1) / 2) * gap, content.subject, content.action) for k in range(count)]
    facing = int(rng.choice((-1, 1)))
    for x, group, action in items:
        x += float(rng.uniform(-8, 8))
        _draw(image, group, action, x, ground + float(rng.uniform(-4, 4)), facing, rng)
    # Captions name colours, so the camera is not monochrome, without blur and with little noise.
    camera = replace(
        scene.camera,
        grey=False,
        blur=False,
        gain=float(rng.uniform(0.92, 1.05)),
        gamma=1.0,
        tint=(1.0, 1.0, 1.0),
        noise=min(scene.camera.noise, 0.25),
    )
    return camera.capture(camera.expose(image, 0.0), rng)


def _room(group: Group, action: str | None) -> float:
    if group.noun in VEHICLES:
        return 152.0
    if group.noun in PEOPLE:
        return 105.0 if action in ('lying on the ground', 'running') else 88.0
    return 78.0


def _draw(
    image: np.ndarray, group: Group, action: str | None, x: float, y: float, facing: int, rng: np.random.Generator
) -> None:
    paint = jitter(COLOURS[group.colour], rng)
    if group.noun in PEOPLE:
        look = replace(
            Look.sample(rng), noun=group.noun, garment=group.garment or '', colour=group.colour, top=paint, masked=False
        )
        phase = _stride(rng) if action in ('walking', 'running') else float(rng.uniform(0, 2 * np.pi))
        pose = _POSES[action or 'standing'](phase)
        draw_person(image, look, x, y, _PERSON_HEIGHT * float(rng.uniform(0.9, 1.1)), facing, pose)
    elif group.noun in VEHICLES:
        vehicle = Vehicle(group.noun, group.colour, paint, float(rng.uniform(138, 150)))
        draw_vehicle(image, vehicle, x, y, facing)
    else:
        _draw_shape(image, group.noun, paint, x, y, float(rng.uniform(60, 70)))


def _stride(rng: np.random.Generator) -> float:
    """Random phase of the walking cycle at which the legs are apart."""
    return float(rng.choice((0.5, 1.5)) * np.pi + rng.uniform(-0.5, 0.5))


def _draw_shape(image: np.ndarray, noun: str, paint: tuple[int, int, int], x: float, y: float, size: float) -> None:
    """Draw a ball, box or cone of ``size`` pixels on the ground at (x, y), with a dark outline."""
    half = round(size / 2)
    cx, bottom = round(x), min(round(y), HEIGHT - 3)
    edge = tuple(int(0.5 * v) for v in paint)
    if noun == 'ball':
        for colour, thickness in ((paint, -1), (edge, 2)):
            cv2.circle(image, (cx, bottom - half), half, colour, thickness, cv2.LINE_AA)
        return
    top = bottom - 2 * half
    corners = [(cx - half, top), (cx + half, top), (cx + half, bottom), (cx - half, bottom)]
    if noun == 'cone':
        corners = [(cx, top - half), (cx + half, bottom), (cx - half, bottom)]
    polygon = [np.array(corners, np.int32)]
    cv2.fillPoly(image, polygon, paint, cv2.LINE_AA)
    cv2.polylines(image, polygon, True, edge, 2, cv2.LINE_AA)
