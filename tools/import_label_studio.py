"""Convert a Label Studio export to annotations: ``python tools/import_label_studio.py EXPORT.json --out train.json``.

Boxes and captions are written to ``--out``. If the export has time spans or classes, they are written to a temporal
annotation in the same folder, ``train_temporal.txt``: the config's ``train_temporal_ann_file``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vadlab.apis.imported_files import check_imported_files, write_imported_files
from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.utils.cli import run_cli
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
    check_imported_files(out, args.overwrite)
    true_frames = None
    if args.data_root:
        from vadlab.datasets.video import index_video

        index = PathIndex.of(args.data_root)

        def true_frames(name: str) -> int:
            return index_video(index.resolve([name], 'import_label_studio')[0]).total_frames

    export = convert_label_studio(args.export, args.default_caption, true_frames, args.class_field)
    for line in write_imported_files(export, out, args.export):
        say(line)
    return 0


if __name__ == '__main__':
    run_cli(main)
