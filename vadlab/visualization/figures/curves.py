"""Figures of ROC and precision-recall curves, and of a metric against training time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vadlab.evaluation.functional import PooledCounts, RankCounts, curve_measures, precision_recall_curve, roc_curve
from vadlab.evaluation.functional.rank_pool import thinned
from vadlab.utils.errors import DataError

from ..renderers.video_picture import GRID, INK, MUTED, SCORE, TRUTH
from ..text import PlainTextCanvas, drawable, font_families
from .learning_curves import LearningCurve

COLOURS = (SCORE, TRUTH, '#2a9d3a', '#7a4fd0', '#e08600', '#00909e')


def plot_roc_pr(counts: RankCounts | PooledCounts, out: str | Path) -> None:
    """Write a figure of the ROC and precision-recall curves, with the areas under them.

    Args:
        counts (RankCounts | PooledCounts): Counts of all frames.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.

    Raises:
        DataError: There is only one class.
    """
    if counts.single_class:
        raise DataError('There is no curve to draw: all frames are of one class')
    measures, points = curve_measures(counts), thinned(counts)
    figure = Figure(figsize=(9.6, 4.4), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    left, right = figure.subplots(1, 2)
    left.plot(*roc_curve(points), color=SCORE, lw=2, label=f'AUC {measures.auc:.4f}')
    left.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=(0, (4, 3)), label='chance')
    left.set(xlabel='false positive rate', ylabel='true positive rate', title='ROC', aspect='equal')
    precision, recall = precision_recall_curve(points)
    share = counts.totals[0] / sum(counts.totals)
    right.step(recall, precision, where='pre', color=TRUTH, lw=2, label=f'AP {measures.ap:.4f}')
    right.axhline(share, color=MUTED, lw=0.9, ls=(0, (4, 3)), label=f'chance {share:.3f}')
    right.set(xlabel='recall', ylabel='precision', title='Precision and recall', aspect='equal')
    for axes, place in ((left, 'lower right'), (right, 'upper right')):
        axes.set(xlim=(0, 1), ylim=(0, 1.005))
        _tidy(axes)
        axes.legend(loc=place, frameon=False)
    _save(figure, out)


def plot_auc_vs_time(
    runs: Sequence[LearningCurve], out: str | Path, metric: str = 'frame AUC', chance: float | None = 0.5
) -> None:
    """Write a figure of a metric against training time: a thin line per run, a thick line for the mean of a label.

    Args:
        runs (Sequence[LearningCurve]): Runs, any number; a mean covers the time span that all runs of the label share.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        metric (str): Label of the vertical axis.
        chance (float | None): Value of a random result, drawn as a line.

    Raises:
        DataError: There is no run, or a run has no value.
    """
    if not runs:
        raise DataError('There is no run to draw')
    for run in runs:
        if len(run.values) == 0:
            raise DataError(f'The run {run.label!r} has no value of {metric}')
    figure = Figure(figsize=(7.6, 4.2), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    labels = list(dict.fromkeys(run.label for run in runs))
    for i, label in enumerate(labels):
        colour = COLOURS[i % len(COLOURS)]
        same = [run for run in runs if run.label == label]
        if len(same) == 1:
            minutes, values, name = same[0].minutes, same[0].values, drawable(label)
        else:
            for run in same:
                axes.plot(run.minutes, run.values, color=colour, lw=1, alpha=0.35)
            start, end = max(run.minutes[0] for run in same), min(run.minutes[-1] for run in same)
            minutes = np.unique(np.concatenate([run.minutes for run in same]).clip(start, max(start, end)))
            values = np.mean([np.interp(minutes, run.minutes, run.values) for run in same], axis=0)
            name = f'{drawable(label)} (mean of {len(same)} runs)'
        marker: dict[str, Any] = {'marker': 'o', 'ms': 4} if len(same) == 1 else {}
        axes.plot(minutes, values, color=colour, lw=2.2, label=name, **marker)
    if chance is not None:
        axes.axhline(chance, color=MUTED, lw=0.9, ls=(0, (4, 3)), label='chance')
    lowest = min(float(np.nanmin(run.values)) for run in runs)
    lowest = min(lowest, chance) if chance is not None else lowest
    axes.set(xlabel='training time (minutes)', ylabel=metric)
    axes.set_xlim(left=0)
    axes.set_ylim(max(0, np.floor((lowest - 0.02) * 20) / 20), 1.0)
    _tidy(axes)
    # The legend is above the axes, where it covers no line.
    figure.legend(loc='outside upper center', ncols=2, frameon=False, prop={'family': font_families()})
    _save(figure, out)


def _tidy(axes: Axes) -> None:
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.title.set_color(INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ('left', 'bottom'))
        spine.set_color('#b5bfcc')


def _save(figure: Figure, out: str | Path) -> None:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
