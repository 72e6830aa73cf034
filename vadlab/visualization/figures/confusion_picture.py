"""Figure of a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from vadlab.utils.errors import DataError

from ..renderers.video_picture import INK, MUTED, SCORE, _narrower_than
from ..text import PlainTextCanvas, drawable, font_families, wrapped
from .curves import _save

MAX_NUMBERED = 24  # classes; with more, numbers in the cells would be unreadable
_MAP = LinearSegmentedColormap.from_list('calm', ['#ffffff', '#c9dcf0', SCORE, '#12365e'])


def plot_confusion(matrix: np.ndarray, classes: Sequence[str], out: str | Path, title: str = '') -> None:
    """Write a figure of a confusion matrix: each row in shares of its clips, with numbers in non-empty cells.

    Args:
        matrix (np.ndarray): Numbers of clips, rows are labels, columns are predictions, shape (C, C).
        classes (Sequence[str]): Names of the C classes.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        title (str): Title of the figure.

    Raises:
        DataError: The matrix is not square or has another number of classes.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if matrix.shape != (count, count) or not count:
        raise DataError(f'A confusion matrix of {count} classes has the shape ({count}, {count}), not {matrix.shape}')
    totals = matrix.sum(axis=1)
    shares = matrix / np.maximum(totals, 1)[:, None]
    names = [drawable(name) for name in classes]
    cell = 0.62 if count <= 12 else 0.4 if count <= MAX_NUMBERED else max(0.1, 9 / count)
    margin = 0.35 + 0.075 * min(max(map(len, names)), 24)
    side = cell * count
    width = side + margin + 1.3
    figure = Figure(figsize=(width, side + margin + 0.8), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=_MAP, vmin=0, vmax=1)
    if count <= MAX_NUMBERED:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = 'white' if shares[row, column] > 0.45 else INK
            weight = 'bold' if row == column else 'normal'
            size = 10 if cell > 0.5 else 7.5
            number = str(int(matrix[row, column]))
            axes.text(column, row, number, ha='center', va='center', color=colour, fontsize=size, fontweight=weight)
    axes.set_xticks(range(count), names, rotation=40, ha='right', rotation_mode='anchor', fontfamily=font_families())
    rows = [f'{name}  ({int(total)})' for name, total in zip(names, totals, strict=True)]
    axes.set_yticks(range(count), rows, fontfamily=font_families())
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which='minor', color='#eef1f5', lw=0.8)
    axes.tick_params(which='both', length=0, colors=INK, labelsize=9 if count <= MAX_NUMBERED else 6)
    axes.set_xlabel('taken for', color=MUTED)
    axes.set_ylabel('truth  (clips)', color=MUTED)
    for spine in axes.spines.values():
        spine.set_color('#b5bfcc')
    if title:
        lines = wrapped(drawable(title), _narrower_than(width - 0.3, 11), 4)  # a few classes make a narrow figure
        style = {'fontsize': 11, 'color': INK, 'fontfamily': font_families()}
        figure.suptitle('\n'.join(lines), x=0.15 / width, ha='left', **style)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=24, pad=0.02)
    bar.set_label("share of the row's clips", color=MUTED, fontsize=9)
    bar.ax.tick_params(colors=MUTED, labelsize=8)
    bar.outline.set_visible(False)
    _save(figure, out)
