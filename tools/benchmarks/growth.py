"""Time and memory of a training step of FG-CLIP as videos get longer, and as the contrastive batch gets larger.

The plain step holds all activations at once, so its memory grows with frames. The gradient cache holds one chunk's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .contrast import CHUNK
from .harness import Entry, Report, Row, compete

PLAIN, CACHE = 'plain step, 2 videos', f'gradient cache, chunk {CHUNK}, videos of 8 frames'


def run(
    cache_dir: Path,
    frames: Sequence[int] = (16, 32, 64, 128, 256, 512),
    videos: Sequence[int] = (2, 4, 8, 16, 32, 64, 128),
    arch: str = 'small',
    runs: int = 3,
) -> Report:
    """Measure steps one after another, each in its own process on one thread, and draw them.

    Args:
        cache_dir: Folder of the figure, ``growth.png``.
        frames: Frames per video of plain steps.
        videos: Batches of steps with a gradient cache.
        arch: A key of ``ARCHITECTURES``.
        runs: Measured steps of each size, after one that allocates the optimizer's state.
    """
    report = Report()
    cases: list[tuple[str, int, dict[str, Any]]]
    cases = [(PLAIN, count, dict(arch=arch, frames=count, videos=2, chunk=None)) for count in frames]
    cases += [(CACHE, count, dict(arch=arch, frames=8, videos=count, chunk=CHUNK)) for count in videos]
    for name, count, options in cases:
        size = f'{count} {"frames" if name == PLAIN else "videos"}'
        (row,) = compete('growth', name, [Entry(size, 'contrast:ContrastJob', options, threads=1)], runs)
        row.details['frames'] = options['videos'] * options['frames']
        report.rows.append(row)
        if row.note:
            report.errors.append(f'growth, {name}, {size}: {row.note}')
    if not report.errors:
        cache_dir.mkdir(parents=True, exist_ok=True)
        draw(report.rows, cache_dir / 'growth.png')
    return report


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw time and memory of both kinds of steps over the frames of a step, on logarithmic axes."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout='constrained')
    for name, style in ((PLAIN, 'o-'), (CACHE, 's--')):
        found = [row for row in rows if row.case == name]
        sizes = [row.details['frames'] for row in found]
        axes[0].plot(sizes, [row.cpu_s.median for row in found if row.cpu_s], style, label=name)
        axes[1].plot(sizes, [row.activation_mib for row in found], style, label=name)
    ticks = sorted({row.details['frames'] for row in rows})
    for ax, title in zip(axes, ('CPU seconds per step', 'memory of activations, MiB'), strict=True):
        ax.set(xscale='log', yscale='log', xlabel='frames in a step (videos x frames)', title=title)
        ax.set_xticks(ticks, [str(size) for size in ticks])
        ax.minorticks_off()
        ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f'{value:g}'))
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
