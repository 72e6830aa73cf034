"""Text of any language in pictures: with fonts of the system, or as escapes if there is no font."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from mmengine.logging import print_log

BASE_FONT = 'DejaVu Sans'  # comes with matplotlib
# Fonts with Chinese characters on common systems, the better-looking first.
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
    """Canvas that draws all text literally, so that ``$`` in a video's name does not begin a formula.

    Characters that no font can draw are shown as escapes.
    """

    def draw(self) -> None:
        self._make_plain()
        super().draw()

    def print_figure(self, *args: Any, **kwargs: Any) -> Any:
        """Print the figure; ``Figure.savefig`` calls it."""
        self._make_plain()
        return super().print_figure(*args, **kwargs)

    def _make_plain(self) -> None:
        for text in self.figure.findobj(Text):
            text.set_parse_math(False)
            text.set_text(_escaped(text.get_text()))


@functools.cache
def _fonts() -> tuple[tuple[str, frozenset[int]], ...]:
    """Usable font families and the characters of each, the preferred one first."""
    present = {entry.name for entry in font_manager.fontManager.ttflist}
    families = [BASE_FONT] + [name for name in CJK_FONTS if name in present]
    return tuple(
        (name, frozenset(font_manager.get_font(font_manager.findfont(name)).get_charmap())) for name in families
    )


def font_families() -> list[str]:
    """Families for matplotlib's ``fontfamily``; later ones draw characters that earlier ones do not have."""
    return [name for name, _ in _fonts()]


def best_font_file(text: str) -> str:
    """File of the font that has most of the characters of a text; of equal ones, the preferred one."""
    family = max(_fonts(), key=lambda entry: sum(ord(char) in entry[1] for char in text))[0]
    return font_manager.findfont(family)


@functools.cache
def _say_once(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def drawable(text: str) -> str:
    """The text on one line; characters that no font can draw become escapes, with one warning in the log.

    Args:
        text (str): Any text.

    Returns:
        str: Text with only characters that :func:`font_families` can draw.
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
    """Number of leading characters that fit, followed by ``end``."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle] + end) else (low, middle - 1)
    return low


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The text, cut and ended by an ellipsis if it does not fit.

    Args:
        text (str): One line.
        fits (Callable): Whether a text is narrow enough.
    """
    return text if fits(text) else text[: _longest(text, fits, '…')].rstrip() + '…'


def wrapped(text: str, fits: Callable[[str], bool], lines: int) -> list[str]:
    """The text in at most ``lines`` lines, broken at spaces or after Chinese characters; the last one is shortened.

    Args:
        text (str): One line.
        fits (Callable): Whether a line is narrow enough.
        lines (int): Maximum number of lines, >= 1.
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
