"""How long OpenMP's threads should wait awake: a small tower beside 0, 2 and 5 busy programs."""

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from vadlab.openmp import SPIN_COUNT

import torch

from .harness import Entry, Report, compete, limit

DEFAULT = "300000, libgomp's default"
VADLAB = f'{SPIN_COUNT}, which VADLab sets'
# As small as the demos' towers: their operations are short, so that threads wait often.
SIZES: dict[str, dict[str, int]] = {
    'published': dict(image_size=128, patch_size=16, width=128, layers=6, heads=4, frames=128),
    'tiny': dict(image_size=16, patch_size=8, width=16, layers=2, heads=2, frames=4),
}


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Other programs, each of which keeps one core busy."""
    programs = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(count)]
    try:
        time.sleep(0.5 if count else 0)
        yield
    finally:
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()


class TowerJob:
    """A small image tower at work, on as many threads as there are cores.

    Args:
        size: Of :data:`SIZES`.
        train: Forward and backward, else forward alone.
    """

    def __init__(self, size: str, train: bool) -> None:
        from vadlab.models.backbones import CLIPVisionTransformer

        chosen = dict(SIZES[size])
        frames = chosen.pop('frames')
        torch.manual_seed(0)
        self.tower: Any = CLIPVisionTransformer(**chosen)
        self.train = train
        self.frames = torch.randn(frames, 3, chosen['image_size'], chosen['image_size'])

    def run(self) -> dict[str, Any]:
        """All frames once; which number comes out does not depend on how threads wait."""
        with torch.set_grad_enabled(self.train):
            mean = self.tower(self.frames)[0].square().mean()
        if self.train:
            self.tower.zero_grad()
            mean.backward()
        return dict(mean=mean.item())


def run(
    runs: int = 5, size: str = 'published', loads: tuple[int, ...] = (0, 2, 5), spins: tuple[int, ...] = (1000, 100_000)
) -> Report:
    """Measure waiting.

    Args:
        runs: Turns of each comparison.
        size: Of :data:`SIZES`.
        loads: Busy programs beside it; one comparison for each.
        spins: Further spin counts.
    """
    counts = {DEFAULT: 300_000, VADLAB: SPIN_COUNT, '0, passive waiting': 0, **{str(spin): spin for spin in spins}}
    report = Report()
    for load, train in itertools.product(loads, (False, True)):
        case = f'{"training step" if train else "forward pass"} of a small tower beside {load} busy programs'
        first: dict[str, Any] = {}
        entries = [
            Entry(
                name,
                'threads:TowerJob',
                dict(size=size, train=train),
                env=dict(GOMP_SPINCOUNT=str(count), OMP_WAIT_POLICY=None, OMP_NUM_THREADS=None),
            )
            for name, count in counts.items()
        ]
        with busy_programs(load):
            rows = compete('threads', case, entries, runs, DEFAULT, 'steps/s', on_first=first.__setitem__)
        report.rows += rows
        for row in rows:
            row.details = {}
            if row.name not in first:
                report.errors.append(f'threads, {case}: {row.name}: {row.note}')
            elif abs(first[row.name]['mean'] - first[DEFAULT]['mean']) > 1e-5 * first[DEFAULT]['mean']:
                report.errors.append(f'threads, {case}: {row.name}: another result than with the default')
        if size == 'published':
            ours = next(row for row in rows if row.name == VADLAB).ratio
            wanted = 1.1 if load == 0 else 0.8
            report.targets.append(limit(f'threads, {case}: time by the default', wanted, ours.median if ours else None))
    return report
