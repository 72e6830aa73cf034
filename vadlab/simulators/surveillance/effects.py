"""Drawing fire, smoke, blasts and rubble."""

import functools
import math

import cv2
import numpy as np

from ..common.person import Box

_WHITE = (255, 250, 225)


@functools.lru_cache(maxsize=1)
def _puffs() -> list[np.ndarray]:
    """Soft round puffs of smoke, float32 alpha 0..1, shape (64, 64) each."""
    rng = np.random.default_rng(7)
    yy, xx = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.sqrt(xx**2 + yy**2)
    puffs = []
    for _ in range(6):
        billows = cv2.resize(rng.random((7, 7), dtype=np.float32), (64, 64), interpolation=cv2.INTER_CUBIC)
        alpha = np.clip((1.05 - radius + 0.5 * (billows - 0.5)) * 1.8, 0, 1) * np.clip(4 * (1 - radius), 0, 1)
        puffs.append(alpha.astype(np.float32))
    return puffs


@functools.lru_cache(maxsize=1)
def _halo() -> np.ndarray:
    yy, xx = np.mgrid[-1:1:64j, -1:1:64j]
    return (np.clip(1 - np.sqrt(xx**2 + yy**2), 0, 1) ** 1.5).astype(np.float32)


def blend(image: np.ndarray, alpha: np.ndarray, x: float, y: float, size: float, colour: tuple, opacity: float) -> None:
    """Blend a sprite of one colour, ``size`` pixels wide, centred at (x, y), into ``image`` in place."""
    size = max(round(size), 2)
    x0, y0 = round(x - size / 2), round(y - size / 2)
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x0 + size, image.shape[1]), min(y0 + size, image.shape[0])
    if right <= left or bottom <= top:
        return
    weight = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_LINEAR)
    weight = np.ascontiguousarray(weight[top - y0 : bottom - y0, left - x0 : right - x0]) * opacity
    patch = np.ascontiguousarray(image[top:bottom, left:right])
    image[top:bottom, left:right] = cv2.blendLinear(patch, np.full_like(patch, colour), 1 - weight, weight)


def draw_halo(image: np.ndarray, x: float, y: float, size: float, colour: tuple, opacity: float) -> None:
    """Draw light around (x, y)."""
    blend(image, _halo(), x, y, size, colour, opacity)


def draw_smoke(image: np.ndarray, x: float, y: float, size: float, clock: float, shade: int, rise: float = 1.6) -> Box:
    """Draw a rising column of smoke.

    Args:
        image: RGB, uint8; drawn on in place.
        x: Foot of the column, pixels.
        y: Foot of the column, pixels.
        size: Width of the column, pixels.
        clock: Time in seconds, which moves the smoke.
        shade: Grey value 0..255.
        rise: Height of the column divided by its width.

    Returns:
        Bounding box, pixels.
    """
    puffs = _puffs()
    count = 5
    for i in range(count):
        age = (i / count + 0.35 * clock) % 1.0
        drift = 0.25 * math.sin(2.1 * i + clock) * age
        grey = int(min(shade + 40 * age, 255))
        blend(
            image,
            puffs[i % len(puffs)],
            x + drift * size,
            y - age * size * rise,
            size * (0.55 + 0.7 * age),
            (grey, grey, grey),
            0.85 * (1 - 0.65 * age),
        )
    return (x - 0.6 * size, y - (rise + 0.3) * size, x + 0.6 * size, y + 0.2 * size)


def draw_fire(image: np.ndarray, x: float, y: float, width: float, height: float, rng: np.random.Generator) -> Box:
    """Draw flames at (x, y): an orange glow and tongues in three layers.

    Args:
        image: RGB, uint8; drawn on in place.
        x: Middle of the foot of the fire, pixels.
        y: Foot of the fire, pixels.
        width: Pixels.
        height: Height of the highest tongue, pixels.
        rng: Source of the flicker.

    Returns:
        Bounding box of the flames, pixels.
    """
    draw_halo(image, x, y - 0.4 * height, 2.6 * max(width, height), (255, 130, 30), 0.55)
    count = 6
    offsets = np.linspace(-0.42, 0.42, count) + rng.uniform(-0.05, 0.05, count)
    tips = (1 - 1.5 * np.abs(offsets) ** 1.3) * rng.uniform(0.6, 1.0, count)
    bends = rng.uniform(-0.12, 0.12, count)
    for scale, colour in ((1.0, (226, 62, 12)), (0.74, (252, 140, 22)), (0.45, (255, 226, 96))):
        polygons = []
        for offset, tip, bend in zip(offsets * (0.4 + 0.6 * scale), tips * scale, bends, strict=True):
            cx, half = x + offset * width, 0.17 * width * (0.5 + 0.5 * scale)
            polygons.append(
                np.array(
                    [
                        (cx - 0.7 * half, y),
                        (cx - half, y - 0.25 * tip * height),
                        (cx - 0.45 * half + bend * width, y - 0.65 * tip * height),
                        (cx + 1.6 * bend * width, y - tip * height),
                        (cx + 0.5 * half + bend * width, y - 0.6 * tip * height),
                        (cx + half, y - 0.22 * tip * height),
                        (cx + 0.7 * half, y),
                    ]
                )
                .round()
                .astype(np.int32)
            )
        for polygon in polygons:
            cv2.fillPoly(image, [polygon], colour, cv2.LINE_AA)
    return (x - 0.55 * width, y - height, x + 0.55 * width, y)


def draw_fireball(image: np.ndarray, x: float, y: float, size: float, heat: float, clock: float) -> Box:
    """Draw a ball of fire, from dark red at the rim to white in the middle.

    Args:
        image: RGB, uint8; drawn on in place.
        x: Centre, pixels.
        y: Centre, pixels.
        size: Diameter, pixels.
        heat: 1 for white-hot, 0 for burnt out.
        clock: Time in seconds, which turns the fireball.

    Returns:
        Bounding box, pixels.
    """
    draw_halo(image, x, y, 2.2 * size, (255, 170, 70), 0.75 * heat)
    puffs = _puffs()
    for ring, (radius, colour) in enumerate(
        ((0.34, (170, 50, 14)), (0.27, (236, 96, 16)), (0.17, (255, 176, 40)), (0.0, _WHITE))
    ):
        count = 7 if ring < 2 else (5 if ring == 2 else 1)
        for i in range(count):
            angle = 2 * math.pi * i / count + 0.9 * ring + 0.4 * clock
            blend(
                image,
                puffs[(i + ring) % len(puffs)],
                x + radius * size * math.cos(angle),
                y + radius * size * math.sin(angle),
                size * (0.5 if ring < 3 else 0.55),
                colour,
                (0.95 if ring < 3 else 1.0) * min(1.0, 0.35 + heat),
            )
    return (x - 0.55 * size, y - 0.55 * size, x + 0.55 * size, y + 0.55 * size)


def draw_streaks(
    image: np.ndarray, x: float, y: float, near: float, far: float, rng: np.random.Generator, scale: float = 1.0
) -> None:
    """Draw burning fragments that fly out of (x, y), at distances from ``near`` to ``far`` pixels."""
    for angle in rng.uniform(0, 2 * math.pi, 14):
        reach = rng.uniform(0.6, 1.0) * far
        start = (round(x + near * math.cos(angle)), round(y + 0.8 * near * math.sin(angle)))
        end = (round(x + reach * math.cos(angle)), round(y + 0.8 * reach * math.sin(angle)))
        cv2.line(image, start, end, (255, 206, 90), max(round(2 * scale), 1), cv2.LINE_AA)
        cv2.circle(image, end, max(round(3 * scale), 1), (60, 40, 30), -1)


def draw_rubble(
    image: np.ndarray,
    x: float,
    y: float,
    spread: float,
    rng: np.random.Generator,
    count: int = 14,
    scale: float = 1.0,
) -> Box:
    """Draw fragments on the ground around (x, y), within ``spread`` pixels."""
    places = rng.normal(0, 0.42, (count, 2)).clip(-1, 1) * (spread, 0.22 * spread) + (x, y)
    sizes = rng.uniform(2, 7, count) * scale
    turns = rng.uniform(0, math.pi, count)
    shades = rng.integers(20, 210, count)
    for (px, py), size, turn, shade in zip(places, sizes, turns, shades.tolist(), strict=True):
        corners = [(px + size * math.cos(turn + a), py + 0.7 * size * math.sin(turn + a)) for a in (0.0, 2.0, 3.3, 4.9)]
        cv2.fillPoly(image, [np.array(corners).round().astype(np.int32)], (shade, shade, min(shade + 10, 255)))
    return (x - spread, y - 0.25 * spread, x + spread, y + 0.25 * spread)


def draw_litter(
    image: np.ndarray,
    x: float,
    y: float,
    spread: float,
    colours: tuple,
    rng: np.random.Generator,
    count: int = 18,
    scale: float = 1.0,
) -> Box:
    """Draw flat things on the floor around (x, y): papers, banknotes, belongings, splinters of glass."""
    angles, radii = rng.uniform(0, 2 * math.pi, count), spread * np.sqrt(rng.uniform(0.02, 1, count))
    sizes, turns = rng.uniform(5, 9, count) * scale, rng.uniform(-0.6, 0.6, count)
    for i, (angle, radius, size, turn) in enumerate(zip(angles, radii, sizes, turns, strict=True)):
        px, py = x + radius * math.cos(angle), y + 0.2 * radius * math.sin(angle)
        c, s = size * math.cos(turn), 0.5 * size * math.sin(turn)
        t = 3 * scale
        corners = [(px - c, py - s - t), (px + c, py + s - t), (px + c, py + s + t), (px - c, py - s + t)]
        cv2.fillPoly(image, [np.array(corners).round().astype(np.int32)], colours[i % len(colours)], cv2.LINE_AA)
    return (x - spread, y - 0.25 * spread, x + spread, y + 0.25 * spread)


def draw_dust(image: np.ndarray, x: float, y: float, size: float, clock: float) -> None:
    """Draw dust around feet at (x, y)."""
    for i, puff in enumerate(_puffs()):
        offset = (i - 2.5) / 2.5
        lift = 6 * math.sin(3 * clock + 2 * i)
        blend(image, puff, x + 0.55 * offset * size, y - 10 - lift, 0.5 * size, (196, 178, 148), 0.6)
