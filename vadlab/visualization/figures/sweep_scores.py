"""Figure of the scores of a sweep against each setting."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from vadlab.utils.errors import DataError

from ..renderers.video_picture import INK, SCORE, TRUTH
from ..text import PlainTextCanvas, drawable, font_families
from .curves import _save, _tidy

_COLUMNS = 3


def plot_sweep_scores(
    settings: Mapping[str, Sequence[float] | Sequence[str]],
    scores: Sequence[Sequence[float]],
    out: str | Path,
    best: int,
    measure: str = 'score',
    logarithmic: Collection[str] = (),
) -> None:
    """Write a figure with one panel per setting: a dot per trial, with a line from its lowest to its highest seed.

    Args:
        settings (Mapping[str, Sequence]): Values of each of N trials by setting; numbers, or texts for choices.
        scores (Sequence[Sequence[float]]): Scores of each trial's seeds, at least one.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        best (int): Index of the trial to mark.
        measure (str): Label of the vertical axis.
        logarithmic (Collection[str]): Settings with a logarithmic axis.

    Raises:
        DataError: There is no trial, or a trial has no score.
    """
    if not scores or not all(len(one) for one in scores):
        raise DataError('Every trial needs a score to draw')
    columns = min(_COLUMNS, len(settings))
    rows = -(-len(settings) // columns)
    figure = Figure(figsize=(0.8 + 3.4 * columns, 0.5 + 2.7 * rows), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    means = [float(np.mean(one)) for one in scores]
    for axes, (name, values) in zip(panels, settings.items(), strict=False):
        labels = list(dict.fromkeys(map(str, values))) if isinstance(values[0], str) else []
        places = [labels.index(str(value)) if labels else float(value) for value in values]
        for i, (place, one) in enumerate(zip(places, scores, strict=True)):
            colour = TRUTH if i == best else SCORE
            axes.plot([place, place], [min(one), max(one)], color=colour, lw=1.2, alpha=0.6)
            axes.plot(place, means[i], 'o', ms=8 if i == best else 5, color=colour, mec='white', mew=0.7, zorder=3)
        if labels:
            axes.set_xticks(range(len(labels)), [_shortened(text) for text in labels], fontfamily=font_families())
            axes.set_xlim(-0.5, len(labels) - 0.5)
        elif name in logarithmic:
            axes.set_xscale('log')
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(_shortened(name, 40), color=INK, fontfamily=font_families())
        _tidy(axes)
    for axes in panels[len(settings) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(drawable(measure), color=INK)
    figure.suptitle('One dot per trial, mean over its seeds. Red: the best.', fontsize=9, color=INK, x=0.01, ha='left')
    _save(figure, out)


def _shortened(text: str, most: int = 12) -> str:
    text = drawable(text)
    return text if len(text) <= most else f'{text[: most // 2]}…{text[-(most // 2 - 1) :]}'
