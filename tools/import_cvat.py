"""Convert CVAT exports to annotations: ``python tools/import_cvat.py annotations.xml --out train.json``.

Boxes are written to ``--out``. Tracks with a label like ``event: Fighting`` are spans of time: they are written to a
temporal annotation in the same folder, ``train_temporal.txt``: the config's ``train_temporal_ann_file``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vadlab.apis.imported_files import check_imported_files, write_imported_files
from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.utils.cli import run_cli
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_paths


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Convert CVAT exports in the format "CVAT for video 1.1".')
    parser.add_argument('exports', nargs='+', metavar='XML', help='annotations.xml of each task')
    parser.add_argument('--out', required=True, metavar='FILE', help='annotations to write, such as train.json')
    parser.add_argument(
        '--data-root',
        help='folder of the folders of frames: their sizes, for tasks of images, whose export has none',
    )
    parser.add_argument('--default-caption', metavar='TEXT', help='caption of all videos (CVAT has none)')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_paths(args.exports, 'export')
    out = Path(args.out)
    check_imported_files(out, args.overwrite)
    frame_size = None
    if args.data_root:
        from vadlab.datasets.video import index_video

        videos = PathIndex.of(args.data_root)

        def frame_size(name: str) -> tuple[int, int]:
            index = index_video(videos.resolve([name], 'import_cvat')[0])
            return index.height, index.width

    export = convert_cvat(args.exports, args.default_caption, frame_size)
    for line in write_imported_files(export, out, args.exports[0]):
        say(line)
    return 0


if __name__ == '__main__':
    run_cli(main)
