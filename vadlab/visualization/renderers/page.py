"""Figure with a layout in inches from its upper left corner."""

from typing import Any

from matplotlib.figure import Figure

from ..text import PlainTextCanvas, font_families


class Page:
    """White figure; text of any language is drawn literally.

    Args:
        width (float): Width in inches.
        height (float): Height in inches.
        colour (str): Default colour of text.
    """

    def __init__(self, width: float, height: float, colour: str) -> None:
        self.width = width
        self.height = height
        self.colour = colour
        self.figure = Figure(figsize=(width, height), facecolor='white')
        PlainTextCanvas(self.figure)

    def box(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Convert a rectangle in inches to the fractions that matplotlib's ``add_axes`` takes."""
        bottom = 1 - (top + height) / self.height
        return left / self.width, bottom, width / self.width, height / self.height

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write text with its baseline from (x, y), in inches; ``style`` are matplotlib's options."""
        usual: dict[str, Any] = {'color': self.colour, 'fontsize': 10, 'fontfamily': font_families(), 'va': 'baseline'}
        self.figure.text(x / self.width, 1 - y / self.height, text, **(usual | style))
