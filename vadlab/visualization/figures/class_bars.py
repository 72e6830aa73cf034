"""Figure of several measures per class side by side, such as F1 and AP, or video alone and sound alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vadlab.utils.errors import DataError

from ..renderers.video_picture import INK, MUTED
from ..text import PlainTextCanvas, drawable, font_families
from .curves import COLOURS, _save, _tidy

_ROW = 0.17  # inches per bar


def plot_grouped_bars(
    names: Sequence[str],
    values: Mapping[str, Sequence[float] | np.ndarray],
    out: str | Path,
    title: str = '',
    marked: Sequence[int] = (),
    chance: float | None = None,
    colours: Sequence[str] = COLOURS,
) -> None:
    """Write a figure with one group of horizontal bars per name.

    Args:
        names (Sequence[str]): Names of G groups, from the top.
        values (Mapping[str, Sequence[float]]): By name of the measure, its value for each group, 0..1; NaN is drawn as
            a dash.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        title (str): Title of the figure.
        marked (Sequence[int]): Groups with a bold name.
        chance (float | None): Value of a random result, drawn as a line.
        colours (Sequence[str]): Colours of the measures.

    Raises:
        DataError: There is no name or no measure, or a measure has another length.
    """
    if not names or not values or any(len(v) != len(names) for v in values.values()):
        lengths = {label: len(v) for label, v in values.items()}
        raise DataError(f'{len(names)} groups of bars need as many values of each measure, not {lengths}')
    thickness = 0.8 / len(values)
    height = 1.0 + len(names) * (0.12 + _ROW * len(values))
    figure = Figure(figsize=(7.6, height), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    rows = np.arange(len(names))
    for number, (label, of_groups) in enumerate(values.items()):
        offset = (number - (len(values) - 1) / 2) * thickness
        known = np.nan_to_num(np.asarray(of_groups, dtype=np.float64))
        axes.barh(rows + offset, known, height=0.86 * thickness, color=colours[number % len(colours)], label=label)
        for row, value in zip(rows, of_groups, strict=True):
            text = '–' if np.isnan(value) else f'{value:.2f}'
            axes.text(
                max(float(np.nan_to_num(value)), 0) + 0.01, row + offset, text, va='center', color=INK, fontsize=7.5
            )
    if chance is not None:
        axes.axvline(chance, color=MUTED, lw=1.2, ls=(0, (4, 3)), label='chance')
    axes.set_yticks(rows, [drawable(name) for name in names], fontfamily=font_families())
    for index in marked:
        axes.get_yticklabels()[index].set_fontweight('bold')
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.08), xticks=np.linspace(0, 1, 6))
    _tidy(axes)
    axes.tick_params(axis='y', colors=INK)
    axes.grid(axis='y', visible=False)
    if title:
        figure.suptitle(drawable(title), x=0.01, ha='left', fontsize=11, color=INK, fontfamily=font_families())
    figure.legend(loc='outside lower center', ncols=len(values) + 1, frameon=False, fontsize=9)
    _save(figure, out)
