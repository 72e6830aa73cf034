"""Turn a Label Studio export into region annotations: ``python tools/import_label_studio.py EXPORT.json --out F``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.label_studio import convert_label_studio
from vadlab.datasets.path_index import PathIndex
from vadlab.datasets.region_annotations import RecordParser
from vadlab.datasets.video import index_video
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Convert a Label Studio export ("JSON") with video rectangles.')
    parser.add_argument('export', help="Label Studio's JSON file")
    parser.add_argument('--out', required=True, metavar='FILE', help='annotations to write, such as train.json')
    parser.add_argument(
        '--data-root',
        help="folder of the videos: rescales frame numbers where Label Studio's frame rate was not the video's",
    )
    parser.add_argument('--default-caption', metavar='TEXT', help='caption of videos that have none')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert as the command line says; the exit status."""
    args = parse_args(argv)
    out = Path(args.out)
    if out.exists() and not args.overwrite:
        raise ConfigError(f'--out {out}: exists. Name another file, or give --overwrite.')
    true_frames = None
    if args.data_root:
        index = PathIndex.of(args.data_root)

        def true_frames(name: str) -> int:
            return index_video(index.resolve([name], 'import_label_studio')[0]).total_frames

    records, counts = convert_label_studio(args.export, args.default_caption, true_frames)
    parser = RecordParser()
    parser.parse([(f'record {i}', record) for i, record in enumerate(records)], args.export)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(records, ensure_ascii=False, indent=1) + '\n', encoding='utf-8')
    done = {what: counts.pop(what) for what in ('videos', 'regions')}
    print(f'{out}: {done["videos"]} videos, {done["regions"]} regions')
    for what, count in counts.items():
        if count:
            print(f'  {count} {what}')
    if mended := parser.summary():
        print(f'  when read: {mended}')
    return 0


if __name__ == '__main__':
    run_cli(main)
