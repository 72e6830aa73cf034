"""Figures of a scored test set: curves over all frames, bars per class, and scores of single videos."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from vadlab.datasets.formats.frame_masks import mask_to_intervals
from vadlab.utils.errors import DataError

from ..renderers.video_picture import INK, MUTED, SCORE, TRUTH, envelope, score_range
from ..report.file_names import picture_name
from ..text import PlainTextCanvas, drawable, font_families
from .curves import _save, _tidy, plot_roc_pr

if TYPE_CHECKING:
    from vadlab.evaluation.score_predictions import ScoreReport


def plot_class_bars(values: Mapping[str, float], measure: str, out: str | Path) -> None:
    """Write a figure with one bar per class, and a line at their mean.

    Args:
        values (Mapping[str, float]): Values by class, 0..1, in drawing order.
        measure (str): Name of the measure.
        out (str | Path): Output file; PNG, SVG or PDF by its extension.

    Raises:
        DataError: There is no class.
    """
    if not values:
        raise DataError(f'There is no class with a {measure} to draw')
    figure = Figure(figsize=(7.6, 0.9 + 0.3 * len(values)), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    names = [drawable(name) for name in values]
    axes.barh(names, list(values.values()), color=SCORE, height=0.68)
    for row, value in enumerate(values.values()):
        axes.text(1.09, row, f'{value:.3f}', ha='right', va='center', color=INK, fontsize=9)
    mean = float(np.mean(list(values.values())))
    axes.axvline(mean, color=TRUTH, lw=1.2, ls=(0, (4, 3)), label=f'mean {mean:.4f}')
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.09), xlabel=measure)
    _tidy(axes)
    axes.grid(axis='y', visible=False)
    for label in axes.get_yticklabels():
        label.set_fontfamily(font_families())
    figure.legend(loc='outside upper right', frameon=False)
    _save(figure, out)


def plot_score_curve(
    name: str,
    scores: np.ndarray,
    labels: np.ndarray,
    out: str | Path,
    axis: tuple[float, float, bool] | None = None,
) -> None:
    """Write a figure of a video's score, with its anomalous frames shaded.

    Args:
        name (str): Name of the video.
        scores (np.ndarray): Scores of its frames, shape (N,), N > 0.
        labels (np.ndarray): Labels of its frames, bool, shape (N,).
        out (str | Path): Output file; PNG, SVG or PDF by its extension.
        axis (tuple | None): Ends of the score axis and whether it is zoomed, from :func:`score_range` of all videos
            that are compared; by default of this video.
    """
    figure = Figure(figsize=(9.6, 2.4), layout='constrained', facecolor='white')
    PlainTextCanvas(figure)
    axes = figure.subplots()
    for number, (start, end) in enumerate(mask_to_intervals(np.asarray(labels, dtype=bool))):
        axes.axvspan(start, end, color=TRUTH, alpha=0.16, lw=0, label='_' * bool(number) + 'truly anomalous')
    x, y = envelope(np.asarray(scores, dtype=np.float64))
    # The axis is 0 to 1 for probabilities, and the range of the values for flat curves and any other score.
    bottom, top, zoomed = score_range(scores) if axis is None else axis
    axes.plot(x, y, color=SCORE, lw=1.3, label=f'score, zoomed to {bottom:.3f}..{top:.3f}' if zoomed else 'score')
    # A small margin, since the frame of the axes would hide the curve.
    room = 0.03 * (top - bottom)
    axes.set(xlim=(0, max(len(scores) - 1, 1)), ylim=(bottom - room, top + room), xlabel='frame')
    axes.set_ylabel('score (zoomed)' if zoomed else 'score')
    axes.set_title(drawable(name), loc='left', fontsize=10, color=INK, fontfamily=font_families())
    _tidy(axes)
    axes.yaxis.label.set_color(MUTED)
    axes.xaxis.label.set_color(MUTED)
    axes.legend(
        loc='lower right', bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, labelcolor=INK, borderaxespad=0.2
    )
    _save(figure, out)


def draw_report(report: 'ScoreReport', folder: str | Path, num_videos: int = 24) -> list[Path]:
    """Write all figures of a scored test set.

    Args:
        report (ScoreReport): From :func:`vadlab.evaluation.score_predictions.score_predictions`.
        folder (str | Path): Folder for the figures.
        num_videos (int): Number of videos whose scores are drawn, spread over the anomalous and the normal ones.

    Returns:
        list[Path]: Files of the figures.
    """
    folder = Path(folder)
    written: list[Path] = []
    if report.counts is not None and not report.counts.single_class:
        written.append(folder / 'roc_pr.png')
        plot_roc_pr(report.counts, written[-1])
    for measure, values in report.class_values.items():
        if values:
            written.append(folder / ('class_ap.png' if 'AP' in measure else 'class_auc.png'))
            plot_class_bars(values, measure, written[-1])
    names = _spread(report.labels, num_videos)
    # One axis for all videos, so that the heights of their curves can be compared.
    axis = score_range(np.concatenate([report.scores[name] for name in names])) if names else None
    for name in names:
        written.append(folder / 'scores' / picture_name(name))
        plot_score_curve(name, report.scores[name], report.labels[name], written[-1], axis)
    return written


def _spread(labels: Mapping[str, np.ndarray], count: int) -> list[str]:
    """Names of ``count`` videos; three of four are anomalous, if there are enough."""
    anomalous = [name for name, mask in labels.items() if mask.any()]
    normal = [name for name, mask in labels.items() if not mask.any()]
    wanted = min(len(anomalous), max(count - len(normal), -(-3 * count // 4)))
    chosen: list[str] = []
    for names, number in ((anomalous, wanted), (normal, min(len(normal), count - wanted))):
        at = np.linspace(0, len(names) - 1, max(number, 0)).round().astype(int)
        chosen += [names[i] for i in at]
    return chosen
