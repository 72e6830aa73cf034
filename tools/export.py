"""Export a trained model to ONNX: ``python tools/export.py CONFIG CHECKPOINT --out FOLDER``.

The folder holds the networks, the classes and prompts, the recipe of frames and scores, the calibration, and a script
that scores videos without torch: ``python FOLDER/run.py VIDEO...``. VADLab's own commands take it, too:
``python tools/infer.py CONFIG FOLDER VIDEO... --backend onnxruntime``.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments
from vadlab.utils.printable import say
from vadlab.utils.required_files import NO_CHECKPOINT, require_model, require_paths
from vadlab.utils.runtime import (
    add_common_arguments,
    config_from_arguments,
    default_work_dir,
    format_table,
    format_value,
)
from vadlab.utils.scoring_arguments import add_prompt_arguments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Export a trained model to a folder that onnxruntime runs.')
    add_model_arguments(parser, 'its weights; "none" for zero-shot')
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER', help='the folder to write; a new one')
    parser.add_argument('--int8', action='store_true', help='8-bit weights; also tests both, and prints the change')
    parser.add_argument('--test', action='store_true', help='test with torch and with onnxruntime, and print both')
    parser.add_argument('--no-test', action='store_true', help='with --int8: do not test')
    parser.add_argument(
        '--check-with',
        nargs='+',
        default=[],
        metavar='FILE',
        help='videos or images on which the networks are compared with torch (default: the test data of the config)',
    )
    add_prompt_arguments(parser, with_files=False)
    parser.add_argument('--feature-config', metavar='FILE', help='extractor for a method on snippet features')
    parser.add_argument('--work-dir', help='folder for the logs of the tests (default: work_dirs/CONFIG)')
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    args.checkpoint = require_model(args.config, args.checkpoint)
    require_paths(args.check_with, 'file')
    if args.negative and not args.prompt:
        raise ConfigError('--negative needs --prompt: give at least one prompt for what is anomalous.')
    if args.no_test and (args.test or not args.int8):
        raise ConfigError('--no-test is an option for --int8, and excludes --test.')
    config = config_from_arguments(args)

    from vadlab.apis.deployment.export_model import export_model

    manifest = export_model(
        config,
        args.checkpoint,
        args.out,
        args.int8,
        args.check_with,
        args.prompt,
        args.negative,
        args.feature_config,
        say,
    )
    if args.test or (args.int8 and not args.no_test):
        before, after = measure(args, config)
        manifest.metrics = {'torch': _numbers(before), manifest.precision: _numbers(after)}
        manifest.save(args.out)
        say('\n' + format_table(compare(before, after), ('', 'torch', f'onnxruntime {manifest.precision}', 'change')))
    elif args.int8:
        say('int8: the change of the metrics was not measured (--no-test)')
    say(f'\nexported: {args.out}')
    if manifest.why_no_videos:
        say(f'run.py scores no videos: {manifest.why_no_videos}')
    else:
        say(f'score videos without torch: python {args.out}/run.py VIDEO...')
    say(f'in VADLab: python tools/infer.py {args.config} {args.out} INPUT... --backend onnxruntime')
    return 0


def measure(args: argparse.Namespace, config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of the test with torch and with the exported folder."""
    from vadlab.apis.deployment.exported_folder import ExportedFolder
    from vadlab.apis.deployment.onnx_backend import use_exported
    from vadlab.engine.runner import VADRunner

    found = []
    for is_exported in (False, True):
        one = copy.deepcopy(config)
        one.work_dir = args.work_dir or config.get('work_dir') or default_work_dir(args.config)
        one.load_from = None if is_exported or args.checkpoint == NO_CHECKPOINT else args.checkpoint
        one.resume = False
        for kind in ('train', 'val'):
            one[f'{kind}_dataloader'] = one[f'{kind}_cfg'] = None
        one.val_evaluator = one.optim_wrapper = one.param_scheduler = None
        runner = VADRunner.from_cfg(one)
        if is_exported:
            use_exported(runner.bare_model, ExportedFolder(args.out))
        elif args.checkpoint == NO_CHECKPOINT:
            runner.init_weights()
        if args.prompt and not is_exported:
            runner.bare_model.use_prompts(args.prompt, args.negative)
        found.append(runner.test())
    return found[0], found[1]


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the table: metrics before and after, and the change."""
    rows: list[tuple[str, ...]] = []
    for name, value in before.items():
        other = after.get(name)
        is_number = isinstance(value, int | float) and isinstance(other, int | float)
        rows.append((name, format_value(value), format_value(other), f'{other - value:+.6f}' if is_number else ''))
    return rows


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value) for name, value in metrics.items() if isinstance(value, int | float) and value - value == 0
    }


if __name__ == '__main__':
    run_cli(main)
