"""Train and test methods with several seeds: ``python tools/compare_methods.py CONFIG... --out DIR``."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.apis.method_comparison import COLUMNS, MAIN, MethodResult, comparison_markdown
from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, TrainingError
from vadlab.utils.json_file import write_json
from vadlab.utils.many_files import Engine, Lost, Ready, add_engine_arguments, over_files
from vadlab.utils.option_checks import require_at_least, require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_config

if TYPE_CHECKING:
    from mmengine.config import Config

    from vadlab.apis.method_runs import Run

BLANK_OPTION = 'feature_dir=blank'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train and test methods with several seeds, and write one table. Finished runs are skipped, '
        'interrupted runs continue.'
    )
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help='configs of experiments; one without training is tested once'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='seeds (default: 0 1 2)')
    parser.add_argument(
        '--blank',
        nargs='?',
        const=BLANK_OPTION,
        metavar='KEY=VALUE',
        help=f'also train and test on blanked frames, by this change of the config (default: {BLANK_OPTION})',
    )
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for the runs, table.md, results.json, bars.png'
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='change all configs')
    parser.add_argument(
        '--jobs',
        type=int,
        metavar='N',
        help='runs at a time (default: 1; with Ray, as many as the cluster has room for)',
    )
    parser.add_argument(
        '--cpus', type=int, default=1, metavar='N', help='with Ray: CPUs that a run claims (default: %(default)s)'
    )
    parser.add_argument(
        '--gpus', type=float, default=0, metavar='N', help='with Ray: GPUs that a run claims (default: %(default)s)'
    )
    add_engine_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'jobs', 'cpus')
    require_at_least(0, args, 'gpus')
    if len(set(args.seeds)) != len(args.seeds):
        raise ConfigError('--seeds must differ.')
    engine = Engine.of_models(args.engine, args.jobs, args.ray_address)
    names = Counter(Path(config).stem for config in args.configs)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigError(f'Two configs are called {twice[0]}: their runs would share a folder.')
    for config in args.configs:
        require_config(config)
    require_folder(args.out, '--out')
    engine.require()

    from vadlab.apis.method_runs import carry_out

    out = Path(args.out)
    given = {config: options_for(config, args.cfg_options, args.configs) for config in args.configs}
    plans = {config: plan(config, args, out, given[config]) for config in args.configs}
    runs = [run for pair in plans.values() for part in pair for run in part]
    runs = [replace(run, place=f'{i}/{len(runs)}') for i, run in enumerate(runs, 1)]
    for run in runs:  # find errors before hours of training
        check_settings(run)
    for number, lost in over_files(Ready(carry_out), runs, engine, threads=args.cpus, gpus=args.gpus):
        run = runs[number]
        if isinstance(lost, Lost):
            raise TrainingError(f'{run.folder}: {lost.reason}. Finished runs are kept; the same command continues.')
        if engine.name == 'ray':  # whose workers print nothing here
            say(f'[{run.place}] {run.folder}: done', flush=True)
    results = [collect(*plans[config]) for config in args.configs]
    methods = Counter(result.name for result in results)
    for config, result in zip(args.configs, results, strict=True):
        if methods[result.name] > 1:
            result.name = f'{result.name}, {Path(config).stem}'
    write_results(results, args.seeds, out)
    return 0


def options_for(config: str, options: Sequence[str], configs: Sequence[str]) -> list[str]:
    """The changes that apply to a config: a method without training ignores settings of training.

    Raises:
        ConfigError: A change that does not apply to a config that it should apply to.
    """
    from vadlab.utils.config import load_config, parse_cfg_options

    lenient = not is_trained(load_config(config)) and any(is_trained(load_config(other)) for other in configs)
    kept = []
    for option in options:
        try:
            load_config(config, parse_cfg_options([option]))
        except ConfigError as error:
            if not lenient:
                raise ConfigError(f'{config}: {error}') from error
            say(f'{config} is not trained and has no setting {option.split("=")[0]}: it is tested without it.')
        else:
            kept.append(option)
    return kept


def plan(config: str, args: argparse.Namespace, out: Path, cfg_options: Sequence[str]) -> tuple[list[Run], list[Run]]:
    """The runs of one config, and the runs of its control."""
    from vadlab.apis.method_runs import Run
    from vadlab.utils.config import load_config, parse_cfg_options, runner_config

    def runs(options: list[str], suffix: str) -> list[Run]:
        loaded = load_config(config, parse_cfg_options(options))
        trained = is_trained(loaded)
        settings = json.loads(json.dumps(runner_config(loaded)._cfg_dict.to_dict(), default=str))
        return [
            Run(config, out / Path(config).stem / f'seed{seed}{suffix}', seed, tuple(options), trained, settings)
            for seed in (args.seeds if trained else args.seeds[:1])
        ]

    control = runs([*cfg_options, args.blank], '_blank') if args.blank else []
    return runs(list(cfg_options), ''), control


def is_trained(config: Config) -> bool:
    """Whether the experiment trains anything."""
    return config.get('train_cfg') is not None and config.get('optim_wrapper') is not None


def check_settings(run: Run) -> None:
    """Save the settings in the folder of the run.

    Raises:
        ConfigError: The run was started with other settings.
    """
    from vadlab.utils.config import config_differences

    file = run.folder / 'settings.json'
    if file.is_file():
        lines = config_differences(json.loads(file.read_text()), run.settings)
        if lines:
            listing = '\n  '.join(lines[:20])
            raise ConfigError(
                f'{run.folder} was started with other settings (then -> now):\n  {listing}\n'
                'Remove the folder to run it again, or use another --out.'
            )
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, run.settings)


def collect(runs: list[Run], control: list[Run]) -> MethodResult:
    """The metrics of all runs of one method."""
    name = runs[0].settings['model']['type']
    reports, blanked = ([json.loads(run.report_file.read_text()) for run in part] for part in (runs, control))
    return MethodResult(name, runs[0].trained, reports, blanked)


def write_results(results: list[MethodResult], seeds: Sequence[int], out: Path) -> None:
    """Write the table, the metrics and the figure, and print the table."""
    from vadlab.visualization.figures.method_bars import plot_method_bars

    markdown = comparison_markdown(results, seeds)
    write_text(out / 'table.md', markdown)
    numbers = [
        {
            'method': result.name,
            'trained': result.trained,
            'metrics': [report['metrics'] for report in result.reports],
            'blanked': [report['metrics'] for report in result.blanked],
        }
        for result in results
    ]
    write_json(out / 'results.json', {'seeds': list(seeds), 'methods': numbers})
    values, control = (
        [[r['metrics'][MAIN] for r in reports if r['metrics'].get(MAIN) is not None] for reports in reports_of_all]
        for reports_of_all in ([x.reports for x in results], [x.blanked for x in results])
    )
    say(f'\n{markdown}')
    written = ['table.md', 'results.json']
    if all(values):
        plot_method_bars(
            [result.name for result in results],
            values,
            out / 'bars.png',
            control if any(control) else None,
            measure=COLUMNS[MAIN],
        )
        written.append('bars.png')
    say(f'{out}: {", ".join(written)}')


if __name__ == '__main__':
    run_cli(main)
