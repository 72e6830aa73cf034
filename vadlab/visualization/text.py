"""Captions of any language in pictures: fonts where the system has them, escapes where it has none."""

import functools
import logging

from matplotlib import font_manager
from mmengine.logging import print_log

BASE_FONT = 'DejaVu Sans'  # comes with matplotlib
# Fonts with Chinese characters that common systems carry, the better-looking first.
CJK_FONTS = (
    'Noto Sans CJK SC',
    'Noto Sans CJK JP',
    'Noto Sans SC',
    'Source Han Sans SC',
    'Source Han Sans CN',
    'PingFang SC',
    'Hiragino Sans GB',
    'Microsoft YaHei',
    'WenQuanYi Micro Hei',
    'WenQuanYi Zen Hei',
    'Heiti SC',
    'SimHei',
    'Droid Sans Fallback',
    'AR PL UMing CN',
    'Arial Unicode MS',
)


@functools.cache
def _fonts() -> tuple[tuple[str, frozenset[int]], ...]:
    """Usable font families with the characters that each can draw, the preferred one first."""
    present = {entry.name for entry in font_manager.fontManager.ttflist}
    families = [BASE_FONT] + [name for name in CJK_FONTS if name in present]
    return tuple(
        (name, frozenset(font_manager.get_font(font_manager.findfont(name)).get_charmap())) for name in families
    )


def font_families() -> list[str]:
    """Families for matplotlib's ``fontfamily``; a later one draws what those before it lack."""
    return [name for name, _ in _fonts()]


@functools.cache
def _say_once(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def drawable(text: str) -> str:
    """The text on one line; characters that no font can draw become escapes, which the log says once.

    Args:
        text (str): Any.

    Returns:
        str: Only characters that :func:`font_families` can draw.
    """
    line = ' '.join(text.split())
    lacking = {char for char in line if not any(ord(char) in characters for _, characters in _fonts())}
    if lacking:
        _say_once(
            'No font of this system can draw some characters of the captions; pictures show them escaped (the page '
            'index.html shows them as they are). For Chinese, install one, such as the package fonts-noto-cjk, and '
            "remove matplotlib's font cache (python -c 'import matplotlib; print(matplotlib.get_cachedir())')"
        )
    escaped = (char.encode('ascii', 'backslashreplace').decode() if char in lacking else char for char in line)
    return ''.join(escaped)


def shortened(text: str, width: int) -> str:
    """The text cut to a width in Latin letters; a Chinese character is as wide as two."""
    used = 0
    for i, char in enumerate(text):
        used += 2 if ord(char) >= 0x2E80 else 1
        if used > width:
            return text[: max(i - 1, 0)].rstrip() + '…'
    return text


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """The text in at most so many lines, broken at spaces, or between Chinese characters; the last one is shortened."""
    result: list[str] = []
    while text and len(result) < lines - 1:
        used, cut, space = 0, len(text), 0
        for i, char in enumerate(text):
            used += 2 if ord(char) >= 0x2E80 else 1
            if used > width:
                cut = i
                break
            if char == ' ' or ord(char) >= 0x2E80:
                space = i + 1
        if cut < len(text) and space:
            cut = space
        result.append(text[:cut].strip())
        text = text[cut:].strip()
    return result + [shortened(text, width)] if text else result
