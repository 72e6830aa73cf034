"""Convert public annotations to metadata: ``python tools/import_wildlife.py LAYOUT PATH --out metadata.csv``."""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vadlab.datasets.formats.av_clip_metadata import AVClipRecord, read_metadata, write_metadata
from vadlab.datasets.formats.class_names import equal_but_for_case
from vadlab.datasets.formats.wildlife_layouts import LAYOUTS
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Convert a public data set's annotations to one metadata CSV.")
    parser.add_argument('layout', choices=list(LAYOUTS), help='layout of the annotations')
    parser.add_argument('path', type=Path, help="the data set's folder; paths in the CSV are relative to it")
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='the CSV to write')
    parser.add_argument(
        '--val-share', type=float, default=0.0, metavar='SHARE', help='move this share of the training '
        'clips to a validation split, selected by their names, if the data set has none (default: 0)'
    )  # fmt: skip
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def with_validation(records: list[AVClipRecord], share: float) -> list[AVClipRecord]:
    """Move a share of the training clips to validation. The selection depends only on the name of each video.

    Raises:
        ConfigError: The share is not below 1, or there is already a validation split.
    """
    if not 0 <= share < 1:
        raise ConfigError(f'--val-share {share}: must be in 0..1, and below 1')
    if share and any(record.split == 'val' for record in records):
        raise ConfigError('--val-share: the data set has a validation split of its own')

    def drawn(record: AVClipRecord) -> bool:
        # All clips of a video stay in one split.
        digest = hashlib.sha256(record.video.encode()).digest()
        return record.split == 'train' and int.from_bytes(digest[:8], 'big') < share * 2**64

    return [replace(record, split='val') if drawn(record) else record for record in records]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_file(args.out, '--out', overwrite=args.overwrite)
    if not args.path.is_dir():
        raise MissingFileError(f'There is no folder {args.path}')
    records = with_validation(LAYOUTS[args.layout](args.path), args.val_share)
    if not records:
        raise DataError(f'{args.path}: no clip in its annotations')
    write_metadata(args.out, records)
    records = read_metadata(args.out)
    say(f'{args.out}: {len(records)} clips')
    for split in dict.fromkeys(record.split for record in records):
        say(f'  {split}: {sum(record.split == split for record in records)}')
    for head in records[0].columns:
        labels = [record.labels(head) for record in records]
        several = sum(len(found) > 1 for found in labels)
        empty = sum(not found for found in labels)
        notes = [f'{several} clips with several (a head of multi_label)'] if several else []
        notes += [f'{empty} clips with none'] if empty else []
        say(
            f'  {head}: {len({label for found in labels for label in found})} labels' + ''.join(f', {n}' for n in notes)
        )
        for same in equal_but_for_case(label for found in labels for label in found):
            say(
                f'  warning: labels of {head} differ in capital letters or spaces only: '
                f'{" and ".join(map(repr, same))}. Training refuses them: write them alike in {args.out}'
            )
    own = sum(bool(record.audio) for record in records)
    missing = sum(not (args.path / record.video).is_file() for record in records)
    if own:
        say(f'  {own} clips have their sound in a file of its own')
    if missing:
        say(f'  warning: {missing} videos are not below {args.path} (first: {first_missing(records, args.path)})')
    return 0


def first_missing(records: Sequence[AVClipRecord], folder: Path) -> str:
    """The first video that is missing."""
    return next(record.video for record in records if not (folder / record.video).is_file())


if __name__ == '__main__':
    run_cli(main)
