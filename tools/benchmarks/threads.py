"""Effect of OpenMP's spin time (GOMP_SPINCOUNT): a small tower with 0, 2 and 5 busy programs on the machine."""

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
# As small as the towers of the demos: operations are short, so threads wait often.
SIZES: dict[str, dict[str, int]] = {
    'published': dict(image_size=128, patch_size=16, width=128, layers=6, heads=4, frames=128),
    'tiny': dict(image_size=16, patch_size=8, width=16, layers=2, heads=2, frames=4),
}


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Start other programs, each of which keeps one core busy."""
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
    """Run a small image tower with one thread per core.

    Args:
        size: A key of :data:`SIZES`.
        train: Forward and backward pass; otherwise only forward.
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
        """Process all frames once; the result does not depend on the spin time."""
        with torch.set_grad_enabled(self.train):
            mean = self.tower(self.frames)[0].square().mean()
        if self.train:
            self.tower.zero_grad()
            mean.backward()
        return dict(mean=mean.item())


def run(
    runs: int = 5, size: str = 'published', loads: tuple[int, ...] = (0, 2, 5), spins: tuple[int, ...] = (1000, 100_000)
) -> Report:
    """Measure the effect of the spin time.

    Args:
        runs: Runs per comparison.
        size: A key of :data:`SIZES`.
        loads: Numbers of busy programs; one comparison per value.
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
