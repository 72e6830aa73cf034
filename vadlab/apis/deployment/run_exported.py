"""The command of an exported folder, ``python FOLDER/run.py VIDEO...``; it needs neither torch nor MMEngine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vadlab.apis.inferencers.result_lines import event_lines, thresholds_line
from vadlab.apis.inferencers.video_inputs import find_sources
from vadlab.utils.errors import ConfigError
from vadlab.utils.printable import say
from vadlab.utils.scoring_arguments import add_threshold_arguments, given_thresholds

from .exported_detector import ExportedDetector
from .exported_folder import read_manifest

#: Content of ``run.py`` in an exported folder.
SCRIPT = '''"""Score videos with the exported model in this folder: python run.py VIDEO... --out DIR

Needs Python 3.11 or newer and the packages of requirements.txt: pip install -r requirements.txt
"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
if not (FOLDER / 'vadlab').is_dir():
    sys.exit(f'error: {FOLDER} is incomplete: there is no folder vadlab. Copy it, or export again.')

from vadlab.apis.deployment.run_exported import main  # noqa: E402
from vadlab.utils.cli import run_cli  # noqa: E402

if __name__ == '__main__':
    run_cli(lambda: main(FOLDER))
'''


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Score videos with an exported model, and print anomalous events.')
    parser.add_argument(
        'inputs', nargs='+', metavar='VIDEO', help='videos, folders, folders of frames, lists, patterns'
    )
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for the results; a killed run continues there')
    parser.add_argument('--sampling', default='auto', metavar='N', help='every Nth frame; "test"; "auto" (default)')
    add_threshold_arguments(parser)
    parser.add_argument('--fps', type=float, default=25.0, help='frame rate of folders of frames (default: 25)')
    parser.add_argument('--batch-size', type=int, default=32, help='frames per run of the network (default: 32)')
    parser.add_argument('--workers', type=int, default=2, help='threads that read videos (default: 2)')
    parser.add_argument('--threads', type=int, help='threads of onnxruntime (default: OMP_NUM_THREADS, or all cores)')
    return parser.parse_args(argv)


def main(folder: str | Path, argv: Sequence[str] | None = None) -> int:
    """Score videos; return the exit status, 2 if a video cannot be scored."""
    args = parse_args(argv)
    given = given_thresholds(args)
    if why := read_manifest(folder).why_no_videos:  # before images are called no videos
        raise ConfigError(f'run.py scores no videos: {why}'.replace('FOLDER', str(folder)))
    find_sources(args.inputs)  # find missing files before the network is loaded
    sampling = int(args.sampling) if args.sampling.isdigit() else args.sampling
    detector = ExportedDetector(folder, sampling, None, args.workers, args.batch_size, args.fps, args.threads)
    detector.use_thresholds(given)
    say(f'{detector.manifest.model}, {detector.manifest.precision}, from {detector.manifest.checkpoint}')
    say(f'frames: {detector.sampled}')
    say(thresholds_line(detector.chosen_thresholds()))
    failed = 0
    for result in detector(args.inputs, args.out):
        if result.error is None:
            say('\n'.join(event_lines(result)), flush=True)
        else:
            failed += 1
            say(f'not scored: {result.error}', file=sys.stderr)
    if args.out:
        say(f'\nresults: {args.out}')
    if failed:
        say(f'videos that could not be scored: {failed}', file=sys.stderr)
    return 2 if failed else 0
