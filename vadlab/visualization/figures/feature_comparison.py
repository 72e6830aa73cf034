"""Figure of the agreement of two feature sets."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..renderers.video_picture import INK, MUTED, SCORE
from ..text import PlainTextCanvas, drawable
from .curves import COLOURS, _save, _tidy


def plot_feature_comparison(
    cosines: np.ndarray, chance: np.ndarray, curves: dict[str, np.ndarray], out: str | Path
) -> None:
    """Write a figure: histograms of the cosines per snippet, for matching and random pairs, and curves along videos.

    Args:
        cosines (np.ndarray): Cosines of matching snippets, shape (n,).
        chance (np.ndarray): Cosines of non-matching snippets, shape (m,).
        curves (dict[str, np.ndarray]): By name of a video, cosines along its snippets, shape (T,).
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
    """
    figure = Figure(figsize=(9.6, 4.0), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    left, right = figure.subplots(1, 2)
    bins = np.linspace(min(cosines.min(initial=1.0), chance.min(initial=1.0), 0.9), 1.0, 60)
    for values, colour, label in ((chance, MUTED, 'other snippets'), (cosines, SCORE, 'same snippet')):
        left.hist(
            np.clip(values, bins[0], 1.0), bins, weights=np.full(len(values), 1 / max(len(values), 1)), color=colour,
            alpha=0.75, label=f'{label}, median {np.median(values):.3f}',
        )  # fmt: skip
    left.set(xlabel='cosine', ylabel='share of snippets', title='Cosine per snippet')
    left.set_ylim(top=1.22 * left.get_ylim()[1])  # room for the legend above the bars
    left.legend(loc='upper left', frameon=False, labelcolor=INK, fontsize=9)
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        right.plot(np.arange(len(values)), values, color=colour, lw=1.2, label=drawable(name))
    right.axhline(np.median(chance), color=MUTED, lw=1.2, ls=(0, (4, 3)), label='other snippets')
    right.set(xlabel='snippet', ylabel='cosine', title='Along single videos')
    right.set_ylim(top=1.01)
    right.legend(loc='best', framealpha=0.85, edgecolor='none', fontsize=8, labelcolor=INK)
    for axes in (left, right):
        _tidy(axes)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.tick_params(labelsize=9)
    left.set_yticks([share for share in left.get_yticks() if 0 <= share <= 1])
    _save(figure, out)
