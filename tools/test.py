"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``.

Use ``none`` as the checkpoint to test the model with the ``pretrained`` weights of its config, without training
(zero-shot).
"""

import argparse
import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.folder_lock import lock_outputs
from vadlab.utils.hub_session import shown_path
from vadlab.utils.json_file import write_json
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments
from vadlab.utils.option_checks import require_file, require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import NO_CHECKPOINT, require_model
from vadlab.utils.runtime import (
    add_backend_argument,
    add_common_arguments,
    config_from_arguments,
    default_work_dir,
    format_table,
    format_value,
    versions,
)

_VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a checkpoint.')
    add_model_arguments(parser, 'weights, such as work_dirs/fgclip_ucf/epoch_10.pth; "none" for zero-shot')
    parser.add_argument('--work-dir', help='folder for the log (default: work_dirs/CONFIG)')
    parser.add_argument(
        '--out',
        metavar='metrics.json',
        help='write the metrics to this file, and the scores or captions to the same folder',
    )
    parser.add_argument('--show-dir', metavar='DIR', help='draw predictions to this folder, with an HTML page of all')
    parser.add_argument(
        '--report',
        metavar='DIR',
        help='write a report of the scored videos to this folder: pages with player, curve, events and marks',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='for methods that ask a model: count the calls, images and tokens, and ask nothing',
    )
    add_backend_argument(parser)
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_file(args.out, '--out', '.json')
    require_folder(args.show_dir, '--show-dir')
    require_folder(args.report, '--report')
    args.checkpoint = require_model(args.config, args.checkpoint, args.backend)
    config = config_from_arguments(args)
    if args.report:
        from vadlab.visualization.report.video_report import check_report_folder

        check_report_folder(args.report)

    from mmengine.dist import is_main_process

    from vadlab.checkpoints.weights_hash import weights_sha256
    from vadlab.engine.hooks.caption_file_hook import CaptionFileHook
    from vadlab.engine.hooks.score_file_hook import ScoreFileHook
    from vadlab.engine.runner import VADRunner
    from vadlab.utils.config import require_parts

    require_parts(config, args.config, 'tested')
    untrained = args.checkpoint == NO_CHECKPOINT
    weights, exported = weights_of(args, config)
    if args.dry_run:
        return tell_costs(args, config, weights)
    config.work_dir = args.work_dir or config.get('work_dir') or default_work_dir(args.config)
    config.load_from = None if untrained or exported else args.checkpoint
    config.resume = False
    hooks = list(config.get('custom_hooks') or [])
    if args.out:
        for kind in (ScoreFileHook, CaptionFileHook):  # each writes the fields that the samples have
            hooks.append({'type': kind, 'path': str(Path(args.out).with_suffix(kind.suffix))})
    if args.show_dir:
        hooks.append({'type': 'VisualizationHook', 'show_dir': args.show_dir})
    config.custom_hooks = hooks
    full = copy.deepcopy(config)
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', *_VALIDATION):
        config[key] = None

    runner = VADRunner.from_cfg(config)
    if exported is not None:
        from vadlab.apis.deployment.onnx_backend import use_exported

        use_exported(runner.bare_model, exported)
    elif untrained:
        runner.init_weights()
    weights_id = None if exported is None else exported.manifest.weights
    calibration = use_calibration(runner, args.config, '' if untrained else args.checkpoint, weights, weights_id)
    if args.report:
        from vadlab.engine.hooks.report_hook import ReportHook

        runner.register_hook(ReportHook(args.report, run_info(args, config, calibration)), 'LOW')
    written = {'--show-dir': args.show_dir, '--report': args.report} if is_main_process() else {}
    with lock_outputs(written):
        metrics = runner.test()
    if not is_main_process():
        return 0
    protocol: dict[str, str] = {}
    for metric in runner.test_evaluator.metrics:
        protocol.update(getattr(metric, 'protocol', None) or {})
    if args.out:  # before anything is printed: the reader of the output may be gone
        weights_id = weights_id or weights_sha256(runner.bare_model.state_dict() if weights is None else weights)
        write_report(args.out, metrics, protocol, args.config, args.checkpoint, full, weights_id)
    rows = [(k, format_value(v), protocol.get(k, '')) for k, v in metrics.items()]
    if rows:
        say('\n' + format_table(rows, ('metric', 'value', 'protocol')))
    else:
        say(
            '\nThere are no metrics, because the test data has no truth for them. Scores, events and boxes: '
            f'python tools/infer.py {args.config} {args.checkpoint} VIDEOS --out results'
        )
    if args.out:
        files = [hook for hook in runner.hooks if isinstance(hook, ScoreFileHook | CaptionFileHook) and hook.written]
        say('\n' + '   '.join([f'metrics: {args.out}', *(f'{hook.holds}: {hook.path}' for hook in files)]))
    if args.show_dir:
        say(f'pictures: {args.show_dir}')
    if args.report:
        say(f'report: {Path(args.report) / "index.html"}')
    return 0


def weights_of(args: argparse.Namespace, config: Any) -> tuple[dict[str, Any] | None, Any]:
    """Weights of the checkpoint, or the exported folder; neither for a model with the weights of its config.

    A wrong file is found here, before minutes of building.

    Raises:
        ConfigError: Without a checkpoint the weights would be random; or ``--dry-run`` of an exported folder.
    """
    from vadlab.checkpoints.checkpoint_io import read_checkpoint
    from vadlab.registry import MODELS

    if args.backend == 'onnxruntime':
        from vadlab.apis.deployment.exported_folder import ExportedFolder

        if args.dry_run:
            raise ConfigError('--dry-run counts the calls of methods that ask a model; none of them is exported.')
        return None, ExportedFolder(args.checkpoint)
    if args.checkpoint != NO_CHECKPOINT:
        return read_checkpoint(args.checkpoint)['state_dict'], None
    kind = MODELS.get(config.model.type)
    if config.model.get('pretrained') is None and getattr(kind, 'has_own_weights', True):
        raise ConfigError(
            f'{args.config} has no model.pretrained: without a checkpoint its weights would be random. '
            'Give a checkpoint.'
        )
    if getattr(kind, 'needs_training', False):
        raise ConfigError(
            f'{args.config}: {config.model.type} is a trained method; without a checkpoint most of its weights '
            'would be random. Give a checkpoint.'
        )
    return None, None


def tell_costs(args: argparse.Namespace, config: Any, weights: Any) -> int:
    """Print what a test would ask of a model; return the exit status."""
    from vadlab.apis.answer_costs import cost_table, expected_costs
    from vadlab.checkpoints.checkpoint_io import load_weights
    from vadlab.registry import DATASETS, MODELS

    model = MODELS.build(copy.deepcopy(config.model))
    if not hasattr(model, 'expected'):
        raise ConfigError(f'--dry-run: {config.model.type} asks no model. Leave it out')
    if weights is not None:
        load_weights(model, weights, args.checkpoint)
    settings = copy.deepcopy(config.test_dataloader['dataset'])
    dataset = DATASETS.build(settings)
    paths = [dataset.get_data_info(i)['video_path'] for i in range(len(dataset))]
    say(cost_table(expected_costs(model, paths), len(paths), model.cost_note))
    return 0


def run_info(args: argparse.Namespace, config: Any, calibration: Any) -> Any:
    """Record of the run for the pages of the report."""
    from vadlab.structures.video_result import RunInfo

    checkpoint = '' if args.checkpoint == NO_CHECKPOINT else shown_path(args.checkpoint)
    protocol = 'test set of the config; the metrics are in the list of videos'
    run = RunInfo(args.config, checkpoint, config.model.type, protocol=protocol)
    if calibration is None:
        return run
    return replace(run, thresholds=calibration.thresholds, calibration=calibration.calibration)


def use_calibration(runner: Any, config: str, checkpoint: str, weights: Any, weights_id: str | None = None) -> Any:
    """Let metrics of frame scores also use the threshold that ``tools/calibrate.py`` wrote beside the checkpoint.

    Returns:
        CalibrationFile | None: The calibration, if there is one for these weights.
    """
    from vadlab.checkpoints.weights_hash import weights_sha256
    from vadlab.evaluation.calibration import calibration_path, find_calibration, scoring_id
    from vadlab.evaluation.metrics import FrameScoreMetric

    if not calibration_path(checkpoint, config).is_file():
        return None
    found = find_calibration(checkpoint, config)
    assert found is not None
    if weights_id is None:
        weights_id = weights_sha256(runner.model.state_dict() if weights is None else weights)
    if why := found.why_other(weights_id, scoring=scoring_id(runner.cfg.model)):
        runner.logger.warning(f'{found.path} is not used: {why}')
        return None
    for metric in runner.test_loop.evaluator.metrics:
        if isinstance(metric, FrameScoreMetric):
            metric.calibrate(found.thresholds.high, found.thresholds.source)  # a path is no part of a protocol
    return found


def write_report(
    path: str,
    metrics: dict[str, Any],
    protocol: dict[str, str],
    config: str,
    checkpoint: str,
    full: Any,
    weights: str | None = None,
) -> None:
    """Write the metrics as JSON; an undefined metric (NaN) becomes null."""
    from vadlab.utils.config import runner_config

    report = {
        'metrics': {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()},
        'protocol': protocol,
        'config': config,
        'checkpoint': shown_path(checkpoint),
        'weights': weights,
        'versions': versions(),
        'settings': runner_config(full)._cfg_dict.to_dict(),
    }
    write_json(path, report, default=str)


if __name__ == '__main__':
    run_cli(main)
