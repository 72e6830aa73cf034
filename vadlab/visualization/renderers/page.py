"""A figure that is laid out in inches, from its upper left corner."""

from typing import Any

from matplotlib.figure import Figure

from ..text import PlainTextCanvas, font_families


class Page:
    """A white figure; text is drawn as it is, in any language.

    Args:
        width (float): Inches.
        height (float): Inches.
        colour (str): Of text without a colour.
    """

    def __init__(self, width: float, height: float, colour: str) -> None:
        self.width = width
        self.height = height
        self.colour = colour
        self.figure = Figure(figsize=(width, height), facecolor='white')
        PlainTextCanvas(self.figure)

    def box(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """A rectangle in inches as matplotlib's ``add_axes`` takes it."""
        bottom = 1 - (top + height) / self.height
        return left / self.width, bottom, width / self.width, height / self.height

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write a text whose baseline starts at (x, y); ``style`` is matplotlib's."""
        usual: dict[str, Any] = {'color': self.colour, 'fontsize': 10, 'fontfamily': font_families(), 'va': 'baseline'}
        self.figure.text(x / self.width, 1 - y / self.height, text, **(usual | style))
