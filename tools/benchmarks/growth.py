"""Time and memory of a training step of FG-CLIP as videos get longer, and as the contrastive batch gets larger.

The plain step holds all activations at once, so its memory grows with frames. The gradient cache holds one chunk's.
"""

from collections.abc import Sequence
from pathlib import Path

from .contrast import CHUNK
from .harness import Contestant, ContestantError, Report, Row, Spread

MIB = 2**20
PLAIN, CACHE = 'plain step, 2 videos', f'gradient cache, chunk {CHUNK}, 8 frames'


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
    cases = [(PLAIN, count, dict(arch=arch, frames=count, videos=2, chunk=None)) for count in frames]
    cases += [(CACHE, count, dict(arch=arch, frames=8, videos=count, chunk=CHUNK)) for count in videos]
    for name, count, options in cases:
        unit = 'frames' if name == PLAIN else 'videos'
        row = Row('growth', name, f'{count} {unit}', details=dict(size=count))
        report.rows.append(row)
        try:
            _measure(row, options, runs)
        except ContestantError as error:
            row.note = str(error)
            report.errors.append(f'growth, {name}, {count} {unit}: {error}')
    if not report.errors:
        cache_dir.mkdir(parents=True, exist_ok=True)
        draw(report.rows, cache_dir / 'growth.png')
    return report


def _measure(row: Row, options: dict[str, object], runs: int) -> None:
    contestant = Contestant(row.name, 'contrast:ContrastJob', options, threads=1)
    try:
        contestant.run(record=False)
        found = [contestant.run() for _ in range(runs)]
        last = contestant.finish()
    finally:
        contestant.close()
    row.runs = runs
    row.wall_s = Spread.of([one['wall_s'] for one in found])
    row.cpu_s = Spread.of([one['cpu_s'] for one in found])
    row.peak_mib = (last['peak_bytes'] - last['baseline_bytes']) / MIB
    row.activation_mib = row.peak_mib - last['details']['state_bytes'] / MIB


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw time and memory of the two kinds of steps side by side, on logarithmic axes."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout='constrained')
    for ax, name, unit in zip(axes, (PLAIN, CACHE), ('frames per video', 'videos in the contrast'), strict=True):
        found = [row for row in rows if row.case == name]
        sizes = [row.details['size'] for row in found]
        seconds = ax.plot(sizes, [row.cpu_s.median for row in found if row.cpu_s], 'o-', color='#1f5fa8')
        ax.set(xscale='log', yscale='log', xlabel=unit, ylabel='CPU seconds per step', title=name)
        ax.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        ax.minorticks_off()
        right = ax.twinx()
        memory = right.plot(sizes, [row.activation_mib for row in found], 's--', color='#b3431d')
        right.set(yscale='log', ylabel='memory of activations, MiB')
        ax.legend([*seconds, *memory], ['time', 'memory'], loc='upper left', frameon=False)
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
