"""Measure training steps on a GPU relative to its limits, and compare results with the CPU, in at most eight minutes.

Usage::

    python tools/gpu_check.py --json gpu.json
    python tools/gpu_check.py --device cpu --tiny      # the same on a CPU, small, to test this command

It needs no videos, no weights and no compiled op of mmcv. docs/gpu.md explains the table. The exit status is 1 if a
check fails (a result that differs from the CPU's, or a step that waits for the GPU).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import vadlab.openmp  # noqa: E402, F401

from vadlab.utils.cli import run_cli  # noqa: E402
from vadlab.utils.errors import ConfigError, MissingDependencyError  # noqa: E402
from vadlab.utils.option_checks import require_file  # noqa: E402
from vadlab.utils.printable import say  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.gpu import Check, Result

COLUMNS = ('', 'variant', 's/step', 'frames/s', 'TFLOP/s', 'MFU', 'peak GiB', 'busy', '')
WIDTHS = (28, 14, 8, 8, 8, 5, 8, 5, 0)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure training steps on a GPU, and check them against the CPU.')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='where to run (default: cuda)')
    parser.add_argument('--minutes', type=float, default=8.0, help='time for everything (default: 8)')
    parser.add_argument('--tiny', action='store_true', help='small models and batches, to test this command')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all results to this file')
    args = parser.parse_args(arguments)
    if not args.minutes > 0:
        raise ConfigError(f'gpu_check: --minutes must be > 0, not {args.minutes:g}.')
    return args


def line(cells: Sequence[str]) -> str:
    """One line of the table."""
    return '  '.join(f'{cell:{width}}' for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def describe_check(found: 'Check') -> str:
    """A check as a sentence."""
    return f'{"ok    " if found.holds else "FAILED"}  {found.name}: {found.found}'


def describe(found: 'Result') -> str:
    """A result as a line of the table."""
    numbers: list[tuple[float | None, str]] = [
        (found.seconds, '.3f'),
        (found.frames_per_s, '.1f'),
        (found.tflops, '.3g'),
        (found.mfu, '.0%'),
        (found.peak_gib, '.1f'),
        (found.busy, '.0%'),
    ]
    cells = ['-' if value is None else format(value, spec) for value, spec in numbers]
    case = found.case if found.section == 'step' else f'{found.section}, {found.case}'
    return line([case, found.variant, *cells, found.note])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all sections; return 1 if a check fails."""
    args = parse_args(arguments)
    require_file(args.json, '--json')

    import torch
    from benchmarks import gpu
    from mmengine.logging import MMLogger

    from vadlab.utils.json_file import write_json

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise MissingDependencyError(
            'gpu_check: torch finds no GPU here. Install a torch for CUDA (docs/install.md), or try the command with '
            '--device cpu --tiny.'
        )
    MMLogger.get_current_instance().setLevel('WARNING')  # queues log a line when they are built
    sizes = gpu.TINY if args.tiny else gpu.Sizes()
    is_table = False

    def tell(found: 'Result | Check') -> None:
        nonlocal is_table
        if isinstance(found, gpu.Check):
            say(describe_check(found))
            return
        if not is_table:
            is_table = True
            say('\n' + line(COLUMNS))
        say(describe(found))

    report = gpu.run(args.device, sizes, 60 * args.minutes, tell)
    say(f'\n{report.chip}; matrix products in bfloat16: {report.matrix_tflops:.3g} TFLOP/s')
    if args.json:
        write_json(args.json, report.as_dict())
        say(f'wrote {args.json}')
    return 0 if all(check.holds for check in report.checks) else 1


if __name__ == '__main__':
    run_cli(main)
