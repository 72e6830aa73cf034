"""Convert marks of a report to a temporal annotation: ``python tools/import_marks.py marks.json --out FILE``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.formats.marks import convert_marks
from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_paths


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Convert marks, exported as JSON from the pages of a report, to a temporal annotation.'
    )
    parser.add_argument('marks', nargs='+', metavar='JSON', help='exports of a report')
    parser.add_argument('--out', required=True, metavar='FILE', help='temporal annotation to write')
    parser.add_argument('--default-class', metavar='NAME', help='class of missed events and of events without a class')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_paths(args.marks, 'export of marks')
    out = Path(args.out)
    require_file(out, '--out', overwrite=args.overwrite)
    found = convert_marks(args.marks, args.default_class)
    write_text(out, found.temporal_lines())
    say(f'{out}: {len(found.temporal)} videos')
    for what, count in found.counts.items():
        if count:
            say(f'  {count} {what}')
    return 0


if __name__ == '__main__':
    run_cli(main)
