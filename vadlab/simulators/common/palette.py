"""Named colours."""

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    'red': (196, 36, 36),
    'blue': (40, 70, 180),
    'green': (40, 130, 60),
    'yellow': (226, 200, 50),
    'orange': (232, 128, 36),
    'purple': (116, 50, 140),
    'pink': (232, 130, 170),
    'white': (232, 232, 228),
    'black': (32, 32, 36),
    'grey': (124, 126, 130),
    'brown': (112, 76, 48),
}
CHINESE_COLOURS = {
    'red': '红色',
    'blue': '蓝色',
    'green': '绿色',
    'yellow': '黄色',
    'orange': '橙色',
    'purple': '紫色',
    'pink': '粉色',
    'white': '白色',
    'black': '黑色',
    'grey': '灰色',
    'brown': '棕色',
}


def jitter(colour: tuple[int, int, int], rng: np.random.Generator, amount: int = 16) -> tuple[int, int, int]:
    """A random shade near ``colour``, RGB, each channel changed by at most ``amount`` of 255."""
    shift = rng.integers(-amount, amount + 1, 3)
    red, green, blue = (int(min(max(c + d, 0), 255)) for c, d in zip(colour, shift, strict=True))
    return red, green, blue
