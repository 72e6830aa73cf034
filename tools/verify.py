"""Check an experiment before training: ``python tools/verify.py CONFIG``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vadlab.apis.checked_files import default_cache_dir
from vadlab.utils.cli import run_cli
from vadlab.utils.many_files import Engine, add_engine_arguments
from vadlab.utils.option_checks import require_at_least, require_file
from vadlab.utils.printable import is_terminal, say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.required_files import require_config
from vadlab.utils.runtime import add_common_arguments, config_from_arguments

if TYPE_CHECKING:
    from vadlab.apis import Finding


_SIGNS = {'pass': ('ok', '32'), 'warning': ('WARN', '33'), 'failure': ('FAIL', '31')}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Check environment, weights, annotations, videos or features, captions, splits and one batch. '
        'Exit status 0 if no check fails (warnings are allowed), otherwise 2.'
    )
    parser.add_argument('config', help='the experiment, such as configs/fgclip_ucf.py')
    parser.add_argument('--json', metavar='FILE', help='also write the findings to this JSON file')
    parser.add_argument(
        '--workers',
        type=int,
        help='files that are read at a time (default: one per core; with Ray, as many as the cluster has CPUs)',
    )
    add_engine_arguments(parser)
    parser.add_argument('--frames', type=int, default=32, help='frames to decode per video (default: 32)')
    parser.add_argument('--no-cache', action='store_true', help='check files again that were checked before')
    parser.add_argument('--no-smoke', action='store_true', help='skip the batch through the model')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def show(finding: Finding) -> None:
    """Print one row of the table."""
    sign, colour = _SIGNS[finding.level]
    row = f'  {finding.check:<18}  {finding.message}'
    if not is_terminal(sys.stdout):
        say(f'{sign:<4}{row}', flush=True)
        return
    sys.stdout.write(f'\033[{colour}m{sign:<4}\033[0m')
    say(row, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'workers', 'frames')
    engine = Engine(args.engine, args.workers, args.ray_address)
    require_file(args.json, '--json')
    require_config(args.config)
    engine.require()
    config = config_from_arguments(args, check=False)

    from vadlab.apis import Verification

    with ProgressBar('files', vanishes=True) as progress:
        verification = Verification(
            config,
            engine=engine,
            num_frames=args.frames,
            cache_dir=None if args.no_cache else default_cache_dir(),
            smoke=not args.no_smoke,
            progress=progress,
            listener=show,
        )
        report = verification.run()
    say(f'\n{report.count("pass")} passes, {report.count("warning")} warnings, {report.count("failure")} failures')
    if args.json:
        report.write_json(args.json)
    return 0 if report.is_ok else 2


if __name__ == '__main__':
    run_cli(main)
