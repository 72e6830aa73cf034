"""Convert a Label Studio export to annotations: ``python tools/import_label_studio.py EXPORT.json --out train.json``.

Boxes and captions are written to ``--out``. If the export has time spans or classes, they are written to a temporal
annotation in the same folder, ``train_temporal.txt``: the config's ``train_temporal_ann_file``.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.datasets.formats.region_annotations import RecordParser
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.printable import say


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Convert a Label Studio export ("JSON") of videos.')
    parser.add_argument('export', help="Label Studio's JSON file")
    parser.add_argument('--out', required=True, metavar='FILE', help='annotations to write, such as train.json')
    parser.add_argument(
        '--data-root',
        help="folder of the videos: rescales frame numbers where Label Studio's frame rate was not the video's",
    )
    parser.add_argument('--default-caption', metavar='TEXT', help='caption of videos that have none')
    parser.add_argument(
        '--class-field', metavar='NAME', help='the Choices tag with the class of the video (default: the only one)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    out = Path(args.out)
    temporal_out = out.with_name(f'{out.stem}_temporal.txt')
    for path in (out, temporal_out):
        if path.exists() and not args.overwrite:
            raise ConfigError(f'--out {out}: {path} exists. Name another file, or give --overwrite.')
    true_frames = None
    if args.data_root:
        from vadlab.datasets.video import index_video

        index = PathIndex.of(args.data_root)

        def true_frames(name: str) -> int:
            return index_video(index.resolve([name], 'import_label_studio')[0]).total_frames

    export = convert_label_studio(args.export, args.default_caption, true_frames, args.class_field)
    parser = RecordParser()
    parser.parse([(f'record {i}', record) for i, record in enumerate(export.records)], args.export)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(export.records, ensure_ascii=False, indent=1) + '\n', encoding='utf-8')
    counts = export.counts
    say(f'{out}: {counts.pop("videos", 0)} videos, {counts.pop("regions", 0)} regions')
    spans = counts.pop('spans of time', 0)
    if export.temporal:
        temporal_out.write_text(export.temporal_lines(), encoding='utf-8')
        classes = Counter(annotation.class_name for annotation in export.temporal.values())
        listed = ', '.join(f'{name} ({count})' for name, count in classes.items())
        say(f'{temporal_out}: {len(export.temporal)} videos, {spans} spans of time; classes: {listed}')
        say(
            f'  read it by train_temporal_ann_file={temporal_out.name} (of other splits: val_temporal_ann_file, '
            'temporal_ann_file), with these names among the classes of the config'
        )
    else:
        temporal_out.unlink(missing_ok=True)  # file of an earlier export
    for what, count in counts.items():
        if count:
            say(f'  {count} {what}')
    if mended := parser.summary():
        say(f'  when read: {mended}')
    return 0


if __name__ == '__main__':
    run_cli(main)
