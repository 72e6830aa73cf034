"""Draw a metric against training time: ``python tools/plot_learning_curve.py work_dirs/a='from CLIP' --out a.png``."""

import argparse
from collections.abc import Sequence

from vadlab.utils.cli import run_cli
from vadlab.utils.option_checks import FIGURES, require_file
from vadlab.utils.printable import say
from vadlab.visualization.figures.learning_curves import read_learning_curve


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Draw a validation metric of training runs against training time.')
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN_DIR[=LABEL]',
        help='work dirs; runs with the same label are drawn with their mean',
    )
    parser.add_argument('--key', default='frame/auc', help='metric to draw (default: %(default)s)')
    parser.add_argument('--name', help='label of the axis (default: from the key)')
    parser.add_argument(
        '--chance', type=float, default=0.5, help='chance level, drawn as a line; negative for none (default: 0.5)'
    )
    parser.add_argument('--out', required=True, help='the figure: .png, .svg or .pdf')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_file(args.out, '--out', *FIGURES)
    runs = []
    for text in args.runs:
        run_dir, _, label = text.partition('=')
        runs.append(read_learning_curve(run_dir, args.key, label or None))

    from vadlab.visualization.figures.curves import plot_auc_vs_time

    name = args.name or args.key.replace('/', ' ').replace('auc', 'AUC')
    plot_auc_vs_time(runs, args.out, metric=name, chance=args.chance if args.chance >= 0 else None)
    for run in runs:
        say(f'{run.label}: {run.values[-1]:.4f} after {run.minutes[-1]:.1f} minutes (best {run.values.max():.4f})')
    say(f'figure: {args.out}')
    return 0


if __name__ == '__main__':
    run_cli(main)
