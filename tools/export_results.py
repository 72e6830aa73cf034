"""Export results to other tools: ``python tools/export_results.py RESULTS --to label-studio --out DIR``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.option_checks import require_file, require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_paths

if TYPE_CHECKING:
    from vadlab.structures.video_result import VideoResult

FORMATS = {
    'webvtt': 'events as subtitles: DIR/NAME.vtt',
    'csv': 'events as a table: the file DIR, or DIR/events.csv',
    'label-studio': 'DIR/tasks.json, labeling_config.xml, videos as H.264',
    'cvat': 'annotations for tasks of the same videos, "CVAT for video 1.1": DIR/NAME.xml, labels.json',
    'fiftyone': 'a FiftyOne data set called DIR',
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Export the results of tools/infer.py to other tools.',
        epilog='\n'.join(f'  {name:13s} {what}' for name, what in FORMATS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('results', help='folder that infer.py wrote (--out), or the JSON file of one video')
    parser.add_argument('--to', required=True, choices=FORMATS, help='format, see below')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_paths([args.results], 'folder of results')
    out = Path(args.out)
    if args.to not in ('csv', 'fiftyone'):
        require_folder(out, '--out')
    failed: list[str] = []
    if args.to in ('label-studio', 'fiftyone'):
        _check_videos(Path(args.results))
    results = _usable(Path(args.results), failed)
    if args.to == 'csv':
        from vadlab.apis.exports.event_table import write_event_table

        path = out if out.suffix == '.csv' else out / 'events.csv'
        require_file(path, '--out')
        say(f'{path}: {write_event_table(results, path)} events')
    elif args.to == 'webvtt':
        from vadlab.apis.exports.webvtt import write_webvtt

        say(f'{out}: {len([write_webvtt(result, out) for result in results])} subtitle files')
    elif args.to == 'cvat':
        from vadlab.apis.exports.cvat import LABELS_FILE, write_cvat

        say(f'{out}: annotations of {write_cvat(results, out)} tasks')
        say(f'  make a CVAT task of each video itself, with every frame and the labels of {out / LABELS_FILE} ("Raw"),')
        say('  then upload its file as "CVAT 1.1"')
    elif args.to == 'label-studio':
        from vadlab.apis.exports.label_studio import CONFIG_FILE, TASKS_FILE, VIDEO_FOLDER, write_label_studio

        say(f'{out / TASKS_FILE}: {write_label_studio(results, out)} tasks; labelling interface: {out / CONFIG_FILE}')
        say(
            '  start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true '
            f'LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(out.resolve()))}'
        )
        say(f'  in the project, add a source storage "Local files" with the path {out.resolve() / VIDEO_FOLDER}')
    else:
        from vadlab.apis.exports.fiftyone import write_fiftyone

        say(f'FiftyOne data set {args.out}: {write_fiftyone(results, args.out)} videos')
    if failed:
        say(f'not exported, since they were not scored: {len(failed)} videos (first: {failed[0]})', file=sys.stderr)
    return 0


def _check_videos(path: Path) -> None:
    """Find missing videos before hours of work.

    Raises:
        MissingFileError: A video is no longer where it was scored.
    """
    missing = [result.path for result in _usable(path, []) if not os.path.exists(result.path)]
    if missing:
        raise MissingFileError(
            f'{len(missing)} videos are no longer where they were scored (first: {missing[0]}). Put them there, or '
            'score them where they are'
        )


def _usable(path: Path, failed: list[str]) -> Iterator[VideoResult]:
    """Results that have scores; names of the others are added to a list."""
    from vadlab.structures.video_result import VideoResult, load_results

    count = 0
    for result in load_results(path) if path.is_dir() else [VideoResult.load(path)]:
        count += 1
        if result.error is None and len(result.scores):
            yield result
        else:
            failed.append(result.name)
    if not count:
        raise DataError(f'{path} holds no results. Give the folder that tools/infer.py wrote (--out)')


if __name__ == '__main__':
    run_cli(main)
