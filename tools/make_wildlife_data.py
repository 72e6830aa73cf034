"""Render camera-trap clips with sound: ``python tools/make_wildlife_data.py --out data/wildlife_demo``."""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import require_at_least
from vadlab.utils.printable import say

if TYPE_CHECKING:
    from vadlab.simulators.wildlife.wildlife_set import WildlifeClip


# Raise it when the same seed gives other clips than before, so that old folders are recognised.
SIMULATOR_VERSION = 1


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Make camera-trap clips of invented animals, mp4 files with sound tracks (one in twelve without), '
        'and metadata.csv. Some species look alike and call differently, some call alike and look different; some '
        'behaviours differ by motion, some by the rate of the calls: needs_both.json lists the classes that need both '
        'video and sound. Existing clips are kept.'
    )
    parser.add_argument('--out', type=Path, default=Path('data/wildlife_demo'), help='default: %(default)s')
    parser.add_argument('--train', type=int, default=432, help='training clips (default: %(default)s)')
    parser.add_argument('--val', type=int, default=72, help='validation clips (default: %(default)s)')
    parser.add_argument('--test', type=int, default=216, help='test clips (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the data set (default: 0)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: one per core)')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'workers')

    from vadlab.simulators.common.made_folder import check_settings, write_missing
    from vadlab.simulators.wildlife.wildlife_set import NEEDS_BOTH, plan_wildlife_set

    plan = plan_wildlife_set(args.train, args.val, args.test, args.seed)
    settings = dict(train=args.train, val=args.val, test=args.test, seed=args.seed, version=SIMULATOR_VERSION)
    check_settings(args.out, settings)
    written = write_missing(plan, args.out / 'videos', lambda clip: clip.video, args.workers, 'clips')
    write_text(args.out / 'metadata.csv', metadata(plan))
    write_json(args.out / 'needs_both.json', NEEDS_BOTH)
    silent = sum(not clip.has_sound for clip in plan)
    say(
        f'{args.out}: {len(plan)} clips ({written} new) in videos/, {silent} of them without a sound track; '
        'metadata.csv, needs_both.json.'
    )
    return 0


def metadata(plan: Sequence[WildlifeClip]) -> str:
    """The metadata table of all clips."""
    text = io.StringIO()
    records = [clip.record() for clip in plan]
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


if __name__ == '__main__':
    run_cli(main)
