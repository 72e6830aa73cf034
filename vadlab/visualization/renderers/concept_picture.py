"""Picture of one captioned image, with the concept of each patch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..text import drawable, font_families, shortened, wrapped
from .page import Page
from .video_picture import INK, MUTED, REGION_COLOURS, SCORE, TRUTH, _narrower_than

COLOURS = (SCORE, TRUTH, *REGION_COLOURS)  # for the concepts with the most patches; all others are grey
_OTHER = '#b9c2ce'
_WIDTH, _SIDE, _MARGIN = 10.6, 3.6, 0.3  # inches
_OPACITY = 0.55


@dataclass(frozen=True)
class ConceptPicture:
    """Content of the picture.

    Attributes:
        title (str): Name of the image.
        image (np.ndarray): Input image of the model, RGB, uint8, shape (H, W, 3).
        caption (str): Predicted caption.
        concepts (np.ndarray): Concept of each patch of a square grid, in row-major order, int64, shape (P,).
        names (Sequence[str]): Names of all concepts.
        references (Sequence[str]): Reference captions; may be empty.
    """

    title: str
    image: np.ndarray
    caption: str
    concepts: np.ndarray
    names: Sequence[str]
    references: Sequence[str] = ()


def concept_shares(concepts: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Share of patches per concept, in descending order; equal ones are sorted by name.

    Args:
        concepts (np.ndarray): See :class:`ConceptPicture`.
        names (Sequence[str]): Names of all concepts.
    """
    found, counts = np.unique(concepts, return_counts=True)
    shares = {names[index]: int(count) / len(concepts) for index, count in zip(found, counts, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def draw_concepts(picture: ConceptPicture, heading: bool = True) -> Figure:
    """Draw the image, the image with concepts of patches, their legend, the caption and the references.

    Args:
        picture (ConceptPicture): Content of the picture.
        heading (bool): Write the name, the caption and the references; False where the page around the picture does.

    Returns:
        Figure: On an Agg canvas.
    """
    wide = _WIDTH - 2 * _MARGIN
    # Captions are shown unchanged, in lower case and without a full stop.
    caption = wrapped(drawable(picture.caption or '(no word)'), _narrower_than(wide, 14), 2)
    references = [shortened(drawable(text), _narrower_than(wide - 1.1, 9.5)) for text in picture.references]
    references = references if heading else []
    top = 0.62 + 0.3 * len(caption) if heading else _MARGIN
    total = top + _SIDE + 0.3 + (0.22 * len(references) + 0.1 if references else 0.0)
    page = Page(_WIDTH, total, INK)
    figure, box, write = page.figure, page.box, page.write

    if heading:
        write(_MARGIN, 0.34, shortened(drawable(picture.title), _narrower_than(wide, 10)), color=MUTED)
        for i, line in enumerate(caption):
            write(_MARGIN, 0.66 + 0.3 * i, line, fontsize=14)

    shares = concept_shares(picture.concepts, picture.names)
    colour_of = {name: COLOURS[i] if i < len(COLOURS) else _OTHER for i, name in enumerate(shares)}
    for number, is_named in enumerate((False, True)):
        axes = figure.add_axes(box(_MARGIN + number * (_SIDE + 0.15), top, _SIDE, _SIDE))
        axes.imshow(picture.image, extent=(0, 1, 1, 0), aspect='auto', interpolation='antialiased')
        if is_named:
            _draw_patches(axes, picture, colour_of)
        axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color='#b5bfcc', linewidth=0.8)

    legend = figure.add_axes(box(_MARGIN + 2 * (_SIDE + 0.15), top, wide - 2 * (_SIDE + 0.15), _SIDE))
    _draw_legend(legend, shares, colour_of, wide - 2 * (_SIDE + 0.15))
    below = top + _SIDE + 0.3
    for i, text in enumerate(references):
        write(_MARGIN, below + 0.22 * i, 'references' if i == 0 else '', fontsize=9.5, color=MUTED)
        write(_MARGIN + 1.1, below + 0.22 * i, text, fontsize=9.5)
    return figure


def _draw_patches(axes: Axes, picture: ConceptPicture, colour_of: dict[str, str]) -> None:
    """Draw colours over the patches, and lines where the concept changes."""
    side = math.isqrt(len(picture.concepts))
    if side * side != len(picture.concepts):
        raise ValueError(f'{len(picture.concepts)} patches do not form a square grid.')
    grid = np.asarray(picture.concepts).reshape(side, side)
    colours = np.array([[to_rgb(colour_of[picture.names[index]]) for index in row] for row in grid])
    axes.imshow(colours, extent=(0, 1, 1, 0), aspect='auto', interpolation='nearest', alpha=_OPACITY)
    upright = np.argwhere(grid[:, 1:] != grid[:, :-1]) + (0, 1)  # row and column of the corner at which a line begins
    level = np.argwhere(grid[1:] != grid[:-1]) + (1, 0)
    lines = [[(c / side, r / side), (c / side, (r + 1) / side)] for r, c in upright]
    lines += [[(c / side, r / side), ((c + 1) / side, r / side)] for r, c in level]
    axes.add_collection(LineCollection(lines, colors='white', linewidths=1.2))


def _draw_legend(axes: Axes, shares: dict[str, float], colour_of: dict[str, str], width: float) -> None:
    """Draw a square, a name and a share per concept, with one entry for all rare ones."""
    rows = [(name, share, colour_of[name]) for name, share in list(shares.items())[: len(COLOURS)]]
    if len(shares) > len(COLOURS):
        rest = list(shares.values())[len(COLOURS) :]
        rows.append((f'{len(rest)} others', sum(rest), _OTHER))
    axes.set(xlim=(0, width), ylim=(_SIDE, 0))
    axes.axis('off')
    fits = _narrower_than(width - 0.95, 10)
    for i, (name, share, colour) in enumerate(rows):
        y = 0.05 + 0.32 * i
        axes.add_patch(Rectangle((0.05, y), 0.18, 0.18, facecolor=colour, alpha=0.85, lw=0))
        style: dict[str, Any] = {'fontsize': 10, 'fontfamily': font_families(), 'va': 'center'}
        axes.text(0.35, y + 0.09, shortened(drawable(name), fits), color=INK, **style)
        axes.text(width, y + 0.09, f'{share:.0%}', color=MUTED, ha='right', **style)
