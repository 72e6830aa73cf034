"""Figure that compares methods side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vadlab.utils.errors import DataError

from ..renderers.video_picture import INK, MUTED, SCORE, TRUTH
from ..text import PlainTextCanvas, drawable, font_families
from .curves import _save, _tidy


def plot_method_bars(
    names: Sequence[str],
    values: Sequence[Sequence[float]],
    out: str | Path,
    control: Sequence[Sequence[float]] | None = None,
    measure: str = 'frame AUC',
    chance: float | None = 0.5,
) -> None:
    """Write a figure with one bar per method for the mean of its runs, and one dot per run.

    Args:
        names (Sequence[str]): Names of M methods, in drawing order.
        values (Sequence[Sequence[float]]): Values of each method's runs, 0..1, at least one.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        control (Sequence[Sequence[float]] | None): Values with blanked frames, drawn as a second bar; a method may
            have none.
        measure (str): Name of the measure.
        chance (float | None): Value of a random result, drawn as a line.

    Raises:
        DataError: There is no method, or a method has no value.
    """
    if not names or not all(len(runs) for runs in values):
        raise DataError(f'Every method needs a {measure} to draw')
    thickness = 0.68 if control is None else 0.36
    figure = Figure(figsize=(7.6, 1.1 + 0.42 * len(names)), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    rows = np.arange(len(names))
    groups: list[tuple[Sequence[Sequence[float]], str, str, float]] = [(values, SCORE, '_', 0.0)]
    if control is not None:
        groups = [
            (values, SCORE, 'features', -thickness / 2),
            (control, MUTED, 'features of blanked frames', thickness / 2),
        ]
    for runs_of_all, colour, label, offset in groups:
        means = [float(np.mean(runs)) if len(runs) else 0.0 for runs in runs_of_all]
        axes.barh(rows + offset, means, height=thickness, color=colour, label=label)
        for row, runs, mean in zip(rows, runs_of_all, means, strict=True):
            if len(runs) > 1:
                axes.plot(runs, np.full(len(runs), row + offset), 'o', ms=3, color='white', mec=INK, mew=0.7)
            if len(runs):
                axes.text(1.11, row + offset, f'{mean:.3f}', ha='right', va='center', color=INK, fontsize=9)
    if chance is not None:
        axes.axvline(chance, color=TRUTH, lw=1.2, ls=(0, (4, 3)), label='chance')
    axes.set_yticks(rows, [drawable(name) for name in names], fontfamily=font_families())
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.11), xlabel=measure)
    axes.set_xticks(np.linspace(0, 1, 6))
    _tidy(axes)
    axes.grid(axis='y', visible=False)
    if control is not None or chance is not None:
        figure.legend(loc='outside upper right', ncols=3, frameon=False, fontsize=9)
    _save(figure, out)
