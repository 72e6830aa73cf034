"""Surveillance scenes: a painted background, the floor for actors, and a camera."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from vadlab.utils.errors import ConfigError

from .palette import COLOURS, jitter

WIDTH, HEIGHT = 320, 240

# Each split has its own range of seeds for scenes. Training must not use the other two: 'val' is for validation during
# pre-training, 'test' only for the test videos.
SCENE_SEEDS = {'train': (0, 2**29), 'val': (2**29, 2**30), 'test': (2**30, 2**31)}


def scene_seed(split: str, number: int) -> int:
    """Seed for scene ``number`` of a split.

    Raises:
        ConfigError: There is no such split, or ``number`` is outside the split's seed space.
    """
    if split not in SCENE_SEEDS:
        raise ConfigError(f'There is no split {split!r} of synthetic scenes; known: {", ".join(SCENE_SEEDS)}.')
    low, high = SCENE_SEEDS[split]
    if not 0 <= number < high - low:
        raise ConfigError(f'Scene number {number} is outside 0..{high - low - 1} of the {split} split.')
    return low + number


@dataclass(frozen=True)
class Camera:
    """Exposure, tint, blur and noise of a camera of 320x240 pixels."""

    gain: float
    gamma: float
    tint: tuple[float, float, float]
    noise: float
    grey: bool
    blur: bool
    drift: float
    drift_period_s: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Camera':
        """A random camera; one in twelve is monochrome."""
        return cls(
            gain=float(rng.uniform(0.72, 1.08)),
            gamma=float(rng.uniform(0.85, 1.2)),
            tint=tuple(rng.uniform(0.9, 1.06, 3).tolist()),
            noise=float(rng.uniform(0.15, 0.6)),
            grey=bool(rng.random() < 1 / 12),
            blur=bool(rng.random() < 0.25),
            drift=float(rng.uniform(0.02, 0.1)),
            drift_period_s=float(rng.uniform(4, 20)),
        )

    def expose(self, image: np.ndarray, seconds: float, boost: float = 0.0) -> np.ndarray:
        """Apply exposure, tint and lighting drift; ``boost`` adds overall light (0..1)."""
        level = self.gain * (1 + self.drift * np.sin(2 * np.pi * seconds / self.drift_period_s))
        curve = 255 * level * (np.arange(256) / 255) ** self.gamma + 255 * boost
        lut = np.clip(curve[:, None] * self.tint, 0, 255).astype(np.uint8)[None]
        return cv2.LUT(image, lut)

    def capture(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Apply lens blur, loss of colour and sensor noise."""
        if self.blur:
            image = cv2.blur(image, (3, 3))
        if self.grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        tile = _noise_tile()
        top, left = (int(v) for v in rng.integers(0, 64, 2))
        grain = tile[top : top + HEIGHT, left : left + WIDTH]
        return cv2.addWeighted(image, 1.0, grain, self.noise, -128 * self.noise)


@functools.lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.clip(rng.normal(128, 24, (HEIGHT + 64, WIDTH + 64, 3)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    """One place with its camera.

    Attributes:
        seed: Seed of the scene.
        kind: A key of :data:`PAINTERS`.
        background: RGB, uint8, shape (240, 320, 3); do not write into it.
        floor: Smallest and largest y of a person's feet, in pixels.
        outdoor: Whether cars may pass.
        camera: The camera.
        horizon: y at which the floor meets the background, in pixels.
    """

    seed: int
    kind: str
    background: np.ndarray
    floor: tuple[int, int]
    outdoor: bool
    camera: Camera
    horizon: int

    @classmethod
    def make(cls, seed: int, kinds: tuple[str, ...] | None = None) -> 'Scene':
        """Paint the scene of a seed.

        Args:
            seed: From :func:`scene_seed`.
            kinds: Kinds of scene to choose from, by default all.

        Raises:
            ConfigError: There is no such kind.
        """
        kinds = tuple(PAINTERS) if kinds is None else kinds
        if unknown := set(kinds) - set(PAINTERS):
            raise ConfigError(f'There is no kind of scene {min(unknown)!r}; known: {", ".join(PAINTERS)}.')
        rng = np.random.default_rng((seed, 1))
        kind = kinds[rng.integers(len(kinds))]
        image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        horizon = int(rng.integers(104, 142))
        PAINTERS[kind](image, horizon, rng)
        image = _weather(image, rng)
        image.setflags(write=False)
        return cls(seed, kind, image, (max(horizon + 44, 172), 230), kind in OUTDOOR, Camera.sample(rng), horizon)


def _weather(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror, tilt and zoom the view, add uneven light and texture."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    matrix = cv2.getRotationMatrix2D((160, 120), float(rng.uniform(-3, 3)), float(rng.uniform(1.02, 1.18)))
    image = cv2.warpAffine(np.ascontiguousarray(image), matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    light = cv2.resize(
        rng.uniform(0.78, 1.15, (4, 5)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    light *= cv2.resize(rng.uniform(0.93, 1.07, (60, 80)).astype(np.float32), (WIDTH, HEIGHT))
    return np.clip(image * light[..., None], 0, 255).astype(np.uint8)


def _box(
    image: np.ndarray, x0: float, y0: float, x1: float, y1: float, colour: tuple, edge: tuple | None = None
) -> None:
    a, b = (round(x0), round(y0)), (round(x1), round(y1))
    cv2.rectangle(image, a, b, colour, -1)
    if edge is not None:
        cv2.rectangle(image, a, b, edge, 1)


def _grey(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    return jitter((int(rng.integers(low, high)),) * 3, rng, 10)


def _any_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    return jitter(list(COLOURS.values())[rng.integers(len(COLOURS))], rng, 30)


def _ground(image: np.ndarray, horizon: int, near: tuple, far: tuple) -> None:
    ramp = np.linspace(0, 1, HEIGHT - horizon)[:, None, None]
    image[horizon:] = ((1 - ramp) * far + ramp * np.array(near)).astype(np.uint8)


def _sky(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    top = np.array(((110, 150, 200), (150, 160, 170), (40, 48, 70), (190, 170, 150))[rng.integers(4)])
    ramp = np.linspace(0, 1, max(horizon, 1))[:, None, None]
    image[:horizon] = np.clip(top + 35 * ramp, 0, 255).astype(np.uint8)


def _tiles(image: np.ndarray, horizon: int, rng: np.random.Generator, shade: int) -> None:
    colour = (shade,) * 3
    vanish = int(rng.integers(100, 220))
    for x in range(-400, 760, int(rng.integers(45, 90))):
        cv2.line(image, (vanish + (x - vanish) // 5, horizon), (x, HEIGHT), colour, 1, cv2.LINE_AA)
    y, step = float(horizon + 3), 4.0
    while y < HEIGHT:
        cv2.line(image, (0, round(y)), (WIDTH, round(y)), colour, 1)
        y, step = y + step, step * 1.35


def _windows(image: np.ndarray, x0: int, y0: int, x1: int, y1: int, rng: np.random.Generator) -> None:
    pane = _grey(rng, 50, 130)
    dx, dy = int(rng.integers(16, 34)), int(rng.integers(20, 36))
    for x in range(x0 + 6, x1 - dx // 2, dx):
        for y in range(y0 + 6, y1 - dy // 2, dy):
            lit = (214, 200, 150) if rng.random() < 0.12 else pane
            _box(image, x, y, x + 0.6 * dx, y + 0.6 * dy, lit, (60, 60, 60))


def _poster(image: np.ndarray, x: int, y: int, rng: np.random.Generator) -> None:
    """Draw a mural, advert or sign, so that colour on a wall alone does not indicate vandalism."""
    w, h = int(rng.integers(18, 46)), int(rng.integers(16, 38))
    _box(image, x, y, x + w, y + h, _any_colour(rng), (40, 40, 40))
    for _ in range(3):
        px, py = int(rng.integers(x + 3, x + w - 3)), int(rng.integers(y + 3, y + h - 3))
        cv2.circle(image, (px, py), int(rng.integers(2, 7)), _any_colour(rng), -1)


def _posters(image: np.ndarray, horizon: int, rng: np.random.Generator, most: int = 3) -> None:
    for _ in range(rng.integers(0, most + 1)):
        _poster(image, int(rng.integers(5, 265)), int(rng.integers(20, max(horizon - 40, 24))), rng)


def _buildings(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    x = -int(rng.integers(0, 40))
    while x < WIDTH:
        w, top = int(rng.integers(60, 130)), int(rng.integers(-10, 45))
        base = ((150, 92, 74), (176, 164, 140), (132, 136, 142), (196, 186, 170), (104, 98, 96))[rng.integers(5)]
        _box(image, x, top, x + w, horizon, jitter(base, rng), (50, 50, 50))
        _windows(image, x, top, x + w, horizon - 44, rng)
        if rng.random() < 0.6:
            _box(image, x + 6, horizon - 42, x + w - 6, horizon - 30, _any_colour(rng))
        _box(image, x + 8, horizon - 28, x + 0.55 * w, horizon, _grey(rng, 60, 150), (40, 40, 40))
        _box(image, x + 0.65 * w, horizon - 28, x + 0.85 * w, horizon, _any_colour(rng), (40, 40, 40))
        x += w


def _trees(image: np.ndarray, horizon: int, rng: np.random.Generator, count: int) -> None:
    for _ in range(count):
        x, size = int(rng.integers(0, WIDTH)), int(rng.integers(22, 48))
        _box(image, x - 4, horizon - size, x + 4, horizon + 8, (84, 62, 44))
        for _ in range(5):
            px, py = x + int(rng.integers(-size // 2, size // 2)), horizon - size - int(rng.integers(0, size // 2))
            cv2.circle(image, (px, py), size // 2, jitter((58, 104, 50), rng, 22), -1, cv2.LINE_AA)


def _street(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    _sky(image, horizon, rng)
    _buildings(image, horizon, rng)
    _ground(image, horizon, _grey(rng, 80, 120), _grey(rng, 90, 130))
    kerb = horizon + int(rng.integers(24, 40))
    image[horizon:kerb] = _grey(rng, 140, 185)
    cv2.line(image, (0, kerb), (WIDTH, kerb), (70, 70, 70), 2)
    y = int(rng.integers(kerb + 15, 215))
    for x in range(int(rng.integers(-30, 0)), WIDTH, 60):
        cv2.line(image, (x, y), (x + 32, y), (220, 216, 196), 3)
    for _ in range(rng.integers(0, 3)):
        x = int(rng.integers(10, 310))
        cv2.line(image, (x, 10), (x, kerb), (60, 62, 64), 4)


def _shop(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = jitter((206, 200, 186), rng, 24)
    _ground(image, horizon, _grey(rng, 150, 210), _grey(rng, 130, 180))
    _tiles(image, horizon, rng, 120)
    x = int(rng.integers(-20, 20))
    while x < WIDTH:
        w, top = int(rng.integers(55, 95)), int(rng.integers(20, 45))
        _box(image, x, top, x + w, horizon + 10, _grey(rng, 90, 160), (50, 50, 50))
        for y in range(top + 4, horizon, 22):
            for px in range(x + 4, x + w - 8, 9):
                _box(image, px, y + int(rng.integers(0, 8)), px + 7, y + 17, _any_colour(rng))
            _box(image, x, y + 18, x + w, y + 21, (70, 60, 52))
        x += w + int(rng.integers(6, 40))
    if rng.random() < 0.7:
        x = int(rng.integers(0, 230))
        _box(image, x, horizon - 8, x + 90, horizon + 34, jitter((130, 92, 60), rng), (50, 40, 30))
        _box(image, x + 60, horizon - 24, x + 80, horizon - 8, (50, 54, 60))


def _car_park(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    _sky(image, horizon, rng)
    if rng.random() < 0.5:
        _trees(image, horizon - 6, rng, 6)
    else:
        _buildings(image, horizon, rng)
    wall = horizon - int(rng.integers(8, 24))
    _box(image, 0, wall, WIDTH, horizon, _grey(rng, 110, 170), (60, 60, 60))
    _ground(image, horizon, _grey(rng, 70, 110), _grey(rng, 80, 120))
    slant = int(rng.integers(-50, 50))
    for x in range(-60, 400, int(rng.integers(55, 80))):
        cv2.line(image, (x, horizon + 6), (x + slant, horizon + 60), (214, 214, 206), 2, cv2.LINE_AA)
    for x in range(int(rng.integers(0, 40)), WIDTH, 110):
        cv2.line(image, (x, horizon), (x, horizon - 70), (80, 80, 84), 3)


def _corridor(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = jitter((190, 188, 172), rng, 30)
    _ground(image, horizon, _grey(rng, 120, 180), _grey(rng, 100, 150))
    left, right = int(rng.integers(60, 120)), int(rng.integers(200, 260))
    top = int(rng.integers(20, 45))
    side = jitter((168, 166, 154), rng, 26)
    for polygon in (
        [(0, 0), (left, top), (left, horizon), (0, 215)],
        [(319, 0), (right, top), (right, horizon), (319, 215)],
    ):
        cv2.fillPoly(image, [np.array(polygon, np.int32)], side)
    cv2.fillPoly(image, [np.array([(0, 0), (319, 0), (right, top), (left, top)], np.int32)], (220, 220, 214))
    for x in (left, right):
        cv2.line(image, (x, top), (x, horizon), (90, 90, 86), 1)
    cv2.line(image, (left, horizon), (0, 215), (70, 70, 66), 2)
    cv2.line(image, (right, horizon), (319, 215), (70, 70, 66), 2)
    door = jitter((120, 84, 56), rng, 30)
    _box(image, (left + right) / 2 - 22, horizon - 62, (left + right) / 2 + 22, horizon, door, (50, 40, 34))
    for x0, x1 in ((10, 40), (283, 312)):
        cv2.fillPoly(image, [np.array([(x0, 60), (x1, 66), (x1, 190), (x0, 200)], np.int32)], door)
    for x in range(left + 8, right - 8, 34):
        _box(image, x, top - 14, x + 18, top - 8, (250, 250, 240))


def _park(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    _sky(image, horizon, rng)
    image[horizon - 30 : horizon] = jitter((72, 108, 62), rng)
    _trees(image, horizon, rng, int(rng.integers(4, 9)))
    _ground(image, horizon, jitter((84, 130, 62), rng), jitter((96, 140, 80), rng))
    y = int(rng.integers(horizon + 30, 200))
    path = [(0, y), (WIDTH, y - 20), (WIDTH, y + 14), (0, y + 40)]
    cv2.fillPoly(image, [np.array(path, np.int32)], jitter((186, 166, 134), rng), cv2.LINE_AA)
    if rng.random() < 0.6:
        x = int(rng.integers(20, 250))
        _box(image, x, horizon - 2, x + 50, horizon + 4, (112, 78, 48))
        _box(image, x, horizon + 12, x + 50, horizon + 16, (112, 78, 48))


def _petrol_station(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    _sky(image, horizon, rng)
    _box(image, 0, 40, WIDTH, horizon, _grey(rng, 150, 200))
    _windows(image, int(rng.integers(0, 120)), 70, int(rng.integers(200, 320)), horizon + 8, rng)
    _ground(image, horizon, _grey(rng, 120, 160), _grey(rng, 130, 170))
    trim = _any_colour(rng)
    _box(image, 0, 18, WIDTH, 44, (230, 230, 226))
    _box(image, 0, 30, WIDTH, 44, trim)
    for x in (int(rng.integers(30, 110)), int(rng.integers(190, 280))):
        _box(image, x - 5, 44, x + 5, horizon + 22, (180, 180, 180), (90, 90, 90))
        _box(image, x + 8, horizon - 34, x + 34, horizon + 22, trim, (40, 40, 40))
        _box(image, x + 12, horizon - 28, x + 30, horizon - 14, (36, 40, 44))


def _warehouse(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = _grey(rng, 100, 150)
    for x in range(0, WIDTH, 14):
        cv2.line(image, (x, 0), (x, horizon), _grey(rng, 90, 150), 2)
    _ground(image, horizon, _grey(rng, 110, 150), _grey(rng, 90, 130))
    for x in range(int(rng.integers(-30, 0)), WIDTH, int(rng.integers(70, 110))):
        for level in range(3):
            y = horizon - 36 * level
            for px in range(x + 3, x + 58, 19):
                tone = jitter((170, 128, 82), rng, 26)
                _box(image, px, y - int(rng.integers(16, 28)), px + 17, y, tone, (90, 64, 40))
            _box(image, x, y, x + 62, y + 3, (200, 110, 30))
        for px in (x, x + 62):
            cv2.line(image, (px, horizon - 108), (px, horizon + 4), (40, 70, 130), 3)
    cv2.line(image, (0, horizon + 40), (WIDTH, horizon + 34), (214, 190, 40), 4)


def _platform(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = jitter((176, 180, 176), rng, 24)
    for y in range(0, horizon, 10):
        cv2.line(image, (0, y), (WIDTH, y), (140, 146, 146), 1)
    for x in range(0, WIDTH, 16):
        cv2.line(image, (x, 0), (x, horizon), (150, 154, 152), 1)
    stripe = _any_colour(rng)
    _box(image, 0, horizon - 60, WIDTH, horizon - 46, stripe)
    _posters(image, horizon, rng, 4)
    _ground(image, horizon, _grey(rng, 120, 170), _grey(rng, 110, 150))
    if rng.random() < 0.5:
        train = jitter((190, 196, 204), rng)
        _box(image, 0, 40, WIDTH, horizon + 6, train, (70, 70, 70))
        for x in range(int(rng.integers(0, 20)), WIDTH, 64):
            _box(image, x, 56, x + 40, horizon - 34, (50, 60, 72), (30, 30, 30))
        _box(image, 0, horizon - 26, WIDTH, horizon - 16, stripe)
    cv2.line(image, (0, horizon + 16), (WIDTH, horizon + 16), (226, 200, 40), 5)
    for x in range(int(rng.integers(20, 100)), WIDTH, 150):
        _box(image, x - 9, 0, x + 9, horizon + 26, _grey(rng, 120, 180), (80, 80, 80))


def _lobby(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = jitter((196, 176, 148), rng, 26)
    _ground(image, horizon, _grey(rng, 150, 200), _grey(rng, 140, 180))
    _tiles(image, horizon, rng, 130)
    counter = jitter((104, 70, 46), rng, 24)
    x = int(rng.integers(10, 150))
    for px in range(x, x + 150, 50):
        _box(image, px, horizon - 62, px + 46, horizon - 24, (150, 176, 186), (70, 70, 70))
    _box(image, x - 6, horizon - 24, x + 156, horizon + 22, counter, (40, 30, 20))
    for px in (int(rng.integers(0, 40)), int(rng.integers(280, 310))):
        cv2.circle(image, (px, horizon - 14), 18, (50, 100, 52), -1, cv2.LINE_AA)
        _box(image, px - 9, horizon, px + 9, horizon + 20, (150, 84, 56))
    _posters(image, horizon - 40, rng, 2)
    for px in range(0, WIDTH, 80):
        _box(image, px + 20, 6, px + 52, 12, (250, 248, 236))


def _alley(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = jitter((172, 112, 92), rng, 22)
    for row, y in enumerate(range(0, horizon, 9)):
        cv2.line(image, (0, y), (WIDTH, y), (124, 80, 66), 1)
        for x in range(-10 * (row % 2), WIDTH, 20):
            cv2.line(image, (x, y), (x, y + 9), (124, 80, 66), 1)
    _posters(image, horizon, rng, 3)
    _ground(image, horizon, _grey(rng, 110, 150), _grey(rng, 110, 140))
    x = int(rng.integers(10, 230))
    _box(image, x, horizon - 40, x + 70, horizon + 18, jitter((52, 88, 62), rng), (30, 40, 30))
    _box(image, x - 3, horizon - 46, x + 73, horizon - 38, (40, 50, 44))
    x = int(rng.integers(0, 270))
    _box(image, x, horizon - 66, x + 36, horizon, _grey(rng, 60, 100), (30, 30, 30))


PAINTERS: dict[str, Callable[[np.ndarray, int, np.random.Generator], None]] = {
    'street': _street,
    'shop': _shop,
    'car park': _car_park,
    'corridor': _corridor,
    'park': _park,
    'petrol station': _petrol_station,
    'warehouse': _warehouse,
    'station platform': _platform,
    'bank lobby': _lobby,
    'alley': _alley,
}
OUTDOOR = ('street', 'car park', 'petrol station', 'alley')
