"""Calibrate thresholds of events: ``python tools/calibrate.py CONFIG CHECKPOINT FOLDER``."""

import argparse
import sys
from collections.abc import Sequence
from glob import has_magic

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments
from vadlab.utils.printable import say
from vadlab.utils.required_files import no_file_advice, require_model, require_paths
from vadlab.utils.runtime import add_backend_argument, add_common_arguments, config_from_arguments
from vadlab.utils.scoring_arguments import add_prompt_arguments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Choose the threshold at which a detector raises a given number of false alarms per hour on '
        'footage without anomalies. Write it to a file beside the checkpoint, which infer.py and test.py read.'
    )
    inputs = 'videos without anomalies, or folders of them'
    add_model_arguments(parser, 'trained weights; "none" for zero-shot', 'FOLDER', inputs)
    parser.add_argument(
        '--false-alarms-per-hour', type=float, default=0.5, metavar='N', help='wanted rate (default: 0.5)'
    )
    parser.add_argument(
        '--low-quantile',
        type=float,
        default=0.95,
        metavar='Q',
        help='low threshold: the quantile of the scores of normal frames (default: 0.95)',
    )
    parser.add_argument('--min-s', type=float, default=0.0, metavar='S', help='shortest event (default: 0 seconds)')
    parser.add_argument(
        '--gap-s', type=float, default=1.0, metavar='S', help='longest gap inside an event (default: 1)'
    )
    parser.add_argument(
        '--ann', metavar='FILE', help='temporal annotation of the videos: anomalous frames in it do not count'
    )
    add_prompt_arguments(parser)
    parser.add_argument('--sampling', default='auto', metavar='N', help='as for infer.py (default: auto)')
    parser.add_argument('--fps', type=float, default=25.0, help='frame rate of folders of frames (default: 25)')
    parser.add_argument('--feature-config', metavar='FILE', help='extractor for a method on snippet features')
    parser.add_argument('--workers', type=int, default=2, help='threads that read videos (default: 2)')
    parser.add_argument('--batch-size', type=int, default=32, help='frames per forward pass (default: 32)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if there is one)')
    add_backend_argument(parser)
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, 2 if a video cannot be scored."""
    args = parse_args(argv)
    args.checkpoint = require_model(args.config, args.checkpoint, args.backend)
    require_paths([path for path in args.inputs if not has_magic(path)], 'video or folder', no_file_advice)
    require_paths([args.ann] if args.ann else [], 'annotation')
    if args.false_alarms_per_hour < 0 or not 0 <= args.low_quantile <= 1 or min(args.min_s, args.gap_s) < 0:
        raise ConfigError(
            '--false-alarms-per-hour, --min-s and --gap-s must be at least 0, and --low-quantile in 0..1.'
        )
    config = config_from_arguments(args, check=False)

    from vadlab.apis.calibration import calibrate_inferencer
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer, sampling_of
    from vadlab.apis.inferencers.video_inputs import all_prompts
    from vadlab.evaluation.functional.events import highest_rate

    inferencer = VADInferencer(
        config,
        args.checkpoint,
        args.device,
        sampling_of(args.sampling),
        workers=args.workers,
        batch_size=args.batch_size,
        fps=args.fps,
        feature_config=args.feature_config,
        backend=args.backend,
    )
    prompts = all_prompts(args.prompt, args.prompt_file), all_prompts(args.negative, args.negative_file)
    inferencer.use_prompts(*prompts)
    report = calibrate_inferencer(
        inferencer,
        args.inputs,
        args.false_alarms_per_hour,
        args.low_quantile,
        args.min_s,
        args.gap_s,
        progress=True,
        annotation=args.ann,
    )
    thresholds, found = report.file.thresholds, report.file.calibration
    rate = thresholds.false_alarms_per_hour or 0.0
    say(f'footage: {found.videos} videos, {found.hours:.3f} hours, {inferencer.sampled}')
    if args.ann:
        say(f'         without the anomalous frames of {report.annotated} videos in {args.ann}')
    say(f'events:  score >= {thresholds.high:.6g}, from and to {thresholds.low:.6g}')
    alarms = round(rate * found.hours)
    say(
        f'alarms:  {alarms} here, {rate:.2f} per hour; with 95 % confidence at most '
        f'{highest_rate(alarms, found.hours):.2f} per hour on footage of this kind'
    )
    if thresholds.high > 1:
        say('warning: normal footage has scores of 1, so no event can be found', file=sys.stderr)
    for peak in report.highest:
        is_decisive = peak.high_without not in (None, thresholds.high)
        without = f'; without this video, the threshold is {peak.high_without:.6g}' if is_decisive else ''
        say(f'highest: {peak.event.score:.6g} in {peak.name} at {peak.event.peak_s:.1f} s{without}')
    if report.highest:
        say(
            '         Check that these moments are normal: an anomaly raises the threshold. Leave its video out, or '
            'give its frames: --ann FILE'
        )
    for reason in report.failed.values():
        say(f'left out: {reason}', file=sys.stderr)
    say(f'written: {report.file.path}')
    return 2 if report.failed else 0


if __name__ == '__main__':
    run_cli(main)
