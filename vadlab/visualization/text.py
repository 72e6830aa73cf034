"""Captions of any language in pictures: fonts where the system has them, escapes where it has none."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
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


class PlainTextCanvas(FigureCanvasAgg):
    """Draws every text of its figure as it is: in a video's name, ``$`` begins no formula.

    Characters that no font can draw are shown as escapes.
    """

    def draw(self) -> None:
        """Draw the figure."""
        self._make_plain()
        super().draw()

    def print_figure(self, *args: Any, **kwargs: Any) -> Any:
        """What ``Figure.savefig`` calls."""
        self._make_plain()
        return super().print_figure(*args, **kwargs)

    def _make_plain(self) -> None:
        for text in self.figure.findobj(Text):
            text.set_parse_math(False)
            text.set_text(_escaped(text.get_text()))


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
    return _escaped(' '.join(text.split()))


def _escaped(text: str) -> str:
    lacking = {char for char in text if char != '\n' and not any(ord(char) in drawn for _, drawn in _fonts())}
    if lacking:
        _say_once(
            'No font of this system can draw some characters of the captions; pictures show them escaped (the page '
            'index.html shows them as they are). For Chinese, install one, such as the package fonts-noto-cjk, and '
            "remove matplotlib's font cache (python -c 'import matplotlib; print(matplotlib.get_cachedir())')"
        )
    return ''.join(ascii(char)[1:-1] if char in lacking else char for char in text)


def _longest(text: str, fits: Callable[[str], bool], end: str = '') -> int:
    """How many leading characters, followed by ``end``, fit."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle] + end) else (low, middle - 1)
    return low


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The text, cut and ended by an ellipsis where it does not fit.

    Args:
        text (str): One line.
        fits (Callable): Whether a text is narrow enough.
    """
    return text if fits(text) else text[: _longest(text, fits, '…')].rstrip() + '…'


def wrapped(text: str, fits: Callable[[str], bool], lines: int) -> list[str]:
    """The text in at most so many lines, broken at spaces or after Chinese characters; the last one is shortened.

    Args:
        text (str): One line.
        fits (Callable): Whether a line is narrow enough.
        lines (int): How many at most, 1 or more.
    """
    result: list[str] = []
    while text and len(result) < lines - 1:
        cut = max(1, _longest(text, fits))
        if cut < len(text):
            breaks = [i + 1 for i in range(cut) if text[i] == ' ' or ord(text[i]) >= 0x2E80]
            cut = cut if text[cut] == ' ' or not breaks else breaks[-1]
        result.append(text[:cut].strip())
        text = text[cut:].strip()
    return result + [shortened(text, fits)] if text else result
