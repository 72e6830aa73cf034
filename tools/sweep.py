"""Search for the best settings by validation: ``python tools/sweep.py CONFIG --param lr=1e-5:1e-3:log --trials 20``."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, TrainingError
from vadlab.utils.json_file import read_json, write_json
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_config

if TYPE_CHECKING:
    from mmengine.config import Config

    from vadlab.apis.sweeps.search_space import Param
    from vadlab.apis.sweeps.validation import Aim, SharedSamples

SETTINGS_FILE = 'sweep.json'
_ON_TEST = 'the validation samples are test samples, so the best score is not a result'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train an experiment with different settings, and choose the best by validation. The same command '
        'continues an interrupted sweep.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='VALUES: 1e-5:1e-3:log (a range, logarithmic), 0.1:0.9 (numbers), 8:64 (whole numbers), 0:0.5:0.1 '
        '(steps),\nadam,sgd (choices). NAME is what --cfg-options takes: a variable of the config, or a dotted key.',
    )
    parser.add_argument('config', help='the experiment, such as configs/mil_ucf.py')
    parser.add_argument(
        '--param', action='append', default=[], required=True, metavar='NAME=VALUES', help='a setting to try; repeat it'
    )
    parser.add_argument('--trials', type=int, help='number of trials (default: 20; with --sampler grid: all)')
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0], help='seeds of each trial; its score is their mean (default: 0)'
    )
    parser.add_argument('--metric', metavar='KEY', help='metric of the validation (default: save_best of the config)')
    parser.add_argument('--direction', choices=['max', 'min'], help='which values are better (default: as declared)')
    parser.add_argument(
        '--sampler', choices=['tpe', 'random', 'grid'], default='tpe', help='how settings are drawn (default: tpe)'
    )
    parser.add_argument('--sampler-seed', type=int, default=0, help='seed of the sampler (default: 0)')
    parser.add_argument('--prune', action='store_true', help='stop trials whose first validations are below the median')
    parser.add_argument('--jobs', type=int, default=1, help='number of parallel trials (default: 1)')
    parser.add_argument('--work-dir', metavar='DIR', help='folder of the sweep (default: work_dirs/sweep_CONFIG)')
    parser.add_argument(
        '--keep-all', action='store_true', help='keep the checkpoints of all trials, not of the best only'
    )
    parser.add_argument('--retry-failed', action='store_true', help='run failed trials of an earlier start again')
    parser.add_argument(
        '--select-on-test',
        action='store_true',
        help='allow a config whose validation samples are its test samples; for practice only',
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='change the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    trials = args.trials if args.trials is not None else 20
    if args.jobs < 1 or trials < 1 or len(set(args.seeds)) != len(args.seeds):
        raise ConfigError('--jobs and --trials must be at least 1, and --seeds must differ.')
    if not all(0 <= seed < 2**32 for seed in args.seeds):
        raise ConfigError(f'--seeds must be in 0..{2**32 - 1}.')
    require_config(args.config)

    from vadlab.apis.sweeps.study import Study, grid_of, require_optuna

    require_optuna()

    from vadlab.apis.sweeps.results import write_results
    from vadlab.apis.sweeps.search_space import check_params, parse_params
    from vadlab.apis.sweeps.sweep import Sweep
    from vadlab.apis.sweeps.validation import SampleSets, find_aim, require_training
    from vadlab.engine.work_dir_lock import WorkDirLock
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.runtime import check_backends, quiet_third_parties
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    config = load_config(args.config, parse_cfg_options(args.cfg_options))
    check_backends(config)
    require_training(config, args.config)
    aim = find_aim(config, args.config, args.metric, args.direction)
    params = parse_params(args.param, config)
    if args.sampler == 'grid':
        size = len(grid_of(params))
        trials = min(trials, size) if args.trials is not None else size
    tried = check_params(args.config, params, args.cfg_options)
    samples = SampleSets()
    caution = check_samples(samples.shared(config), args)
    samples.check_same(config, tried)

    folder = Path(args.work_dir or f'work_dirs/sweep_{Path(args.config).stem}')
    lock = WorkDirLock(folder)
    lock.acquire()
    try:
        check_settings(folder, settings_of(args, config, params, aim))
        study = Study(folder, params, aim.is_higher_better, args.sampler, args.sampler_seed, args.prune, args.jobs > 1)
        sweep = Sweep(
            args.config,
            folder,
            params,
            args.cfg_options,
            args.seeds,
            aim,
            study,
            jobs=args.jobs,
            prunes=args.prune,
            keep_all=args.keep_all,
        )
        announce(args, trials, params, aim, folder)
        if args.retry_failed:
            for result in sweep.results():
                if result.state == 'failed':
                    study.retry(result.number)
        sweep.run(trials)
        say('\n' + write_results(sweep, args.config, caution))
        results = sweep.results()
    finally:
        lock.release()
    if all(result.score is None for result in results):
        raise TrainingError(
            f'No trial has a score. The last one: {results[-1].reason}. Its output: '
            f'{sweep.trial_folder(results[-1].number)}/seed*/train.out'
        )
    return 0


def check_samples(shared: 'dict[str, SharedSamples]', args: argparse.Namespace) -> str:
    """Check that validation samples are not tested.

    Returns:
        str: A caution to write beside the results; empty if none is needed.

    Raises:
        ConfigError: They are, and ``--select-on-test`` is not given.
    """
    if 'train' in shared:
        say(f'Warning: {shared["train"]} are also trained on: their scores say nothing about new ones.')
    if 'test' not in shared:
        if args.select_on_test:
            raise ConfigError('--select-on-test: no validation sample is tested. Leave the option out.')
        return ''
    if not args.select_on_test:
        raise ConfigError(
            f'{args.config}: {shared["test"]} are also test samples. A sweep would choose its settings on the test '
            'set. Set samples aside that are not tested, such as: --cfg-options val_ann_file=val.txt '
            'test_ann_file=rest.txt (docs/sweep.md). For practice only: --select-on-test'
        )
    say(f'CAUTION: {shared["test"]} are also test samples. The sweep chooses on the test set.')
    return _ON_TEST


def settings_of(args: argparse.Namespace, config: 'Config', params: 'list[Param]', aim: 'Aim') -> dict[str, Any]:
    """All that a continued sweep must share with its start."""
    from vadlab.utils.config import runner_config

    content = {
        'params': {param.name: param.describe() for param in params},
        'seeds': args.seeds,
        'metric': aim.metric,
        'better': 'higher' if aim.is_higher_better else 'lower',
        'sampler': args.sampler,
        'sampler_seed': args.sampler_seed,
        'prune': args.prune,
        'config': runner_config(config)._cfg_dict.to_dict(),
    }
    return json.loads(json.dumps(content, default=str))


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Save the settings in the folder.

    Raises:
        ConfigError: The sweep in the folder was started with other settings.
    """
    from vadlab.utils.config import config_differences

    file = folder / SETTINGS_FILE
    if not file.is_file():
        write_json(file, settings)
        return
    lines = config_differences(read_json(file), settings)
    if lines:
        listing = '\n  '.join(lines[:20])
        raise ConfigError(
            f'The sweep in {folder} was started with other settings (then -> now):\n  {listing}\n'
            'Remove the folder to start over, or use another --work-dir.'
        )


def announce(args: argparse.Namespace, trials: int, params: 'list[Param]', aim: 'Aim', folder: Path) -> None:
    """Print what is tried."""
    from vadlab.utils.runtime import format_table

    rows = [(param.name, param.describe()) for param in params]
    say(format_table(rows, ('setting', 'values')))
    seeds = f'{len(args.seeds)} seeds each' if len(args.seeds) > 1 else f'seed {args.seeds[0]}'
    better = 'highest' if aim.is_higher_better else 'lowest'
    say(
        f'{trials} trials, {seeds}, {args.sampler}; the {better} {aim.metric} of validation is best. Folder: {folder}\n'
    )


if __name__ == '__main__':
    run_cli(main, shlex.join(['python', *sys.argv]))
