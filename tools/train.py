"""Train a model: ``python tools/train.py CONFIG``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_config
from vadlab.utils.runtime import (
    add_common_arguments,
    config_from_arguments,
    default_work_dir,
    format_table,
    format_value,
    use_amp,
    without_caches,
)

if TYPE_CHECKING:
    from mmengine.config import Config

    from vadlab.engine.runner import VADRunner


_OVERWRITE = {'type': 'RunStateHook', 'overwrite': True}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', help='the experiment, such as configs/fgclip_ucf.py')
    parser.add_argument('--work-dir', help='folder for log and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='continue the unfinished run in the work dir, or from this checkpoint',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the run in the work dir')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='run one batch of each loader through loss, gradients and evaluation; leaves no files',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_config(args.config)
    check_resume(args.resume)
    config = config_from_arguments(args)

    from mmengine.dist import is_main_process

    from vadlab.engine.hooks.run_state_hook import check_work_dir
    from vadlab.engine.runner import VADRunner
    from vadlab.utils.config import require_parts

    require_parts(config, args.config, 'trained')
    if args.amp:
        use_amp(config)
    if args.dry_run:
        return dry_run(config)

    config.work_dir = args.work_dir or config.get('work_dir') or default_work_dir(args.config)
    check_work_dir(config.work_dir, resume=args.resume is not None, overwrite=args.overwrite)
    choose_resume(config, args.resume)
    if args.overwrite:
        config.default_hooks = {**config.get('default_hooks', {}), 'run_state': _OVERWRITE}

    runner = VADRunner.from_cfg(config)
    runner.train()
    if is_main_process():
        say(summary(runner))
    return 0


def check_resume(wish: str | None) -> None:
    """Check that the checkpoint given by ``--resume`` exists.

    Raises:
        MissingFileError: It does not.
    """
    if wish not in (None, 'auto') and not Path(wish).is_file():
        raise MissingFileError(f'--resume {wish}: there is no such checkpoint.')


def choose_resume(config: Config, wish: str | None) -> None:
    """Set the checkpoint that the run starts from."""
    from vadlab.checkpoints.checkpoint_io import latest_checkpoint

    if wish is None:
        return
    checkpoint = latest_checkpoint(config.work_dir) if wish == 'auto' else Path(wish)
    if checkpoint is None:
        say(f'Nothing to resume in {config.work_dir}: starting from the beginning.')
        return
    config.resume = True
    config.load_from = str(checkpoint)


def dry_run(config: Config) -> int:
    """Run one batch through everything, in a temporary folder."""
    from mmengine.dist import is_main_process

    from vadlab.engine.runner import VADRunner

    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        without_caches(config._cfg_dict)
        # Without these backends: Weights & Biases would upload the log, and TensorBoard would write to the removed
        # folder.
        config.visualizer = None
        found = VADRunner.from_cfg(config).dry_run()
    if is_main_process():
        say(format_table([(k, format_value(v)) for k, v in found.items()], ('one batch', 'value')))
        answers = config.model.get('answer_cache')
        left = f'Answers of the model were kept in {answers}; no other' if answers else 'No'
        say(f'Dry run: every loader, the loss, its gradients and the evaluation work. {left} files were left.')
    return 0


def summary(runner: VADRunner) -> str:
    """Print the paths of log and checkpoints."""
    from vadlab.checkpoints.checkpoint_io import latest_checkpoint

    work_dir = Path(runner.work_dir)
    best = natural_sorted(work_dir.glob('best_*.pth'))
    rows = [
        ('log', str(Path(runner.log_dir) / f'{runner.timestamp}.log')),
        ('TensorBoard', f'tensorboard --logdir {Path(runner.log_dir) / "vis_data"}'),
        ('last checkpoint', str(latest_checkpoint(work_dir) or 'none')),
    ]
    rows += [('best checkpoint', str(path)) for path in best]
    return '\nTraining finished.\n' + format_table(rows, ('what', 'where'))


def resume_command(argv: Sequence[str]) -> str:
    """The command that continues the run that ``argv`` started."""
    if 'TORCHELASTIC_RUN_ID' in os.environ or 'SLURM_PROCID' in os.environ:
        return 'the same command with --resume'
    kept: list[str] = []
    for before, argument in zip(['', *argv], argv, strict=False):
        named = before == '--resume' and not argument.startswith('-')  # the checkpoint that the run started from
        if not named and argument.split('=')[0] not in ('--overwrite', '--resume'):
            kept.append(argument)
    return shlex.join(['python', *kept, '--resume'])


if __name__ == '__main__':
    run_cli(main, resume_command(sys.argv))
