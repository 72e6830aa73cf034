"""Plan time, storage and network for many videos: ``python tools/plan.py --videos 1900 --hours 128 --nodes 8``."""

import argparse
from collections.abc import Sequence

from vadlab.apis.planning import Rates, Work, breaks_first, make_plan, table_of
from vadlab.utils.cli import run_cli
from vadlab.utils.printable import say
from vadlab.utils.runtime import format_table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Plan time, storage and network for many videos, from rates of one core that were measured as '
        'docs/planning.md describes. Give your own rates where you know them.'
    )
    work, rates = Work(), Rates()
    parser.add_argument('--videos', type=int, default=work.videos, help='number of videos (default: %(default)s)')
    parser.add_argument('--hours', type=float, default=work.hours, help='their length (default: %(default)s)')
    parser.add_argument(
        '--gb-per-hour', type=float, default=work.gb_per_hour, help='size of the video files (default: %(default)s)'
    )
    parser.add_argument('--fps', type=float, default=work.fps, help='frames per second (default: %(default)s)')
    parser.add_argument('--crops', type=int, default=work.crops, help='crops of the features (default: %(default)s)')
    parser.add_argument('--channels', type=int, default=work.channels, help='their channels (default: %(default)s)')
    parser.add_argument('--nodes', type=int, default=work.nodes, help='machines (default: %(default)s)')
    parser.add_argument('--cores', type=int, default=work.cores, help='cores of each (default: %(default)s)')
    parser.add_argument('--gpus', type=int, default=work.gpus, help='GPUs of each; needs --model-fps')
    parser.add_argument('--gbit', type=float, default=work.gbit, help='network of each, Gbit/s (default: %(default)s)')
    parser.add_argument('--epochs', type=int, default=work.epochs, help='epochs of training (default: %(default)s)')
    parser.add_argument(
        '--test-share',
        type=float,
        default=work.test_share,
        help='share of frames that is tested (default: %(default)s)',
    )
    parser.add_argument(
        '--decode-fps',
        type=float,
        default=rates.decode_fps,
        help='frames of a video per second of a core, of which every 16th is used (default: %(default)s)',
    )
    parser.add_argument(
        '--model-fps',
        type=float,
        help=f'pictures per second of a core, or of a GPU (default: {rates.model_fps}, a core)',
    )
    args = parser.parse_args(argv)
    if args.gpus and args.model_fps is None:
        parser.error('--gpus needs --model-fps, the pictures per second that your GPU embeds')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan; return the exit status."""
    args = parse_args(argv)
    names = ('videos', 'hours', 'gb_per_hour', 'fps', 'crops', 'channels', 'nodes', 'cores', 'gpus', 'gbit', 'epochs')
    work = Work(**{name: getattr(args, name) for name in names}, test_share=args.test_share)
    rates = Rates(decode_fps=args.decode_fps, model_fps=Rates.model_fps if args.model_fps is None else args.model_fps)
    steps = make_plan(work, rates)
    machines = f'{work.nodes} machine{"s" if work.nodes > 1 else ""} of {work.cores} cores'
    say(f'{work.videos:,} videos, {work.hours:,g} hours, {machines}\n')
    say(format_table(table_of(steps), ('step', 'time', f'1 {"GPU" if work.gpus else "core"}', 'needs')))
    worst = breaks_first(steps)
    say('\nwhat breaks first:' if worst else '\nnothing is beyond a day of time or 64 GB of memory')
    for number, line in enumerate(worst, 1):
        say(f'{number}. {line}')
    return 0


if __name__ == '__main__':
    run_cli(main)
