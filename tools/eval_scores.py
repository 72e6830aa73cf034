"""Evaluate predictions that were made elsewhere, with a published protocol.

Usage::

    python tools/eval_scores.py --pred scores/ --ann Temporal_Anomaly_Annotation.txt --frames test_num_frames.json \
        --protocol ucf-crime --out metrics.json --plots pictures/

``scores/`` contains one ``NAME.npy`` (or ``.csv``) per video, or is one ``.npz``: anomaly scores of frames or snippets,
shape (N,), or class probabilities with Normal first, shape (N, C). VADLab's own methods are evaluated with the same
metrics. Each metric is printed with its protocol.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from vadlab.datasets.formats.class_names import check_class_names
from vadlab.datasets.formats.frame_counts import read_frame_counts
from vadlab.datasets.formats.temporal_annotations import INTERVAL_MODES
from vadlab.evaluation.functional.frame_scores import MACRO_MODES, VIDEO_MODES
from vadlab.evaluation.functional.ground_truth import LENGTH_POLICIES
from vadlab.evaluation.functional.ranking import AP_MODES
from vadlab.evaluation.functional.segments import SEGMENT_IOUS, SEGMENT_MODES
from vadlab.evaluation.functional.snippets import EXPANSIONS
from vadlab.evaluation.protocols import PROTOCOLS, Protocol, read_ground_truth
from vadlab.evaluation.region_files import DETECTION_COLUMNS, TRACK_COLUMNS, read_region_files
from vadlab.evaluation.score_files import UNITS, ScoreFiles, counts_of_results, read_scores
from vadlab.evaluation.score_predictions import ScoreReport, ScoringOptions, score_predictions
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import require_file, require_folder
from vadlab.utils.printable import say
from vadlab.utils.runtime import format_table, format_value, quiet_third_parties, versions
from vadlab.utils.suggest import nearest


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Evaluate predictions that were made elsewhere.')
    parser.add_argument(
        '--pred',
        required=True,
        metavar='DIR_OR_NPZ',
        help='folder with one NAME.npy or NAME.csv per video, or an .npz, or what infer.py --out wrote',
    )
    parser.add_argument(
        '--ann',
        required=True,
        help='annotation: a text file, the folder of masks, or the folder of a whole one-class set',
    )
    parser.add_argument(
        '--frames',
        metavar='FRAMES.json',
        help='JSON with the number of frames per video, {"NAME": 1408}; not needed for results of infer.py --out',
    )
    parser.add_argument('--protocol', required=True, help=', '.join(PROTOCOLS))
    parser.add_argument(
        '--class-pred', metavar='DIR_OR_NPZ', help='class probabilities in addition to --pred, for segments'
    )
    parser.add_argument(
        '--detections', metavar='DIR', help='folder with one NAME.txt per video, rows frame,x1,y1,x2,y2,score'
    )
    parser.add_argument(
        '--tracks', metavar='DIR', help='true boxes: folder with one NAME.txt per video, rows track,frame,x1,y1,x2,y2'
    )
    parser.add_argument('--classes', metavar='A,B,..', help="class names, Normal first (default: the protocol's)")
    parser.add_argument(
        '--crop', type=int, help='crop to use, for files NAME__0, NAME__1, .. (default: mean of all crops)'
    )

    defaults = ScoringOptions()
    knobs = parser.add_argument_group('settings, each named in the printed protocol')
    knobs.add_argument(
        '--mode',
        choices=SEGMENT_MODES,
        default=defaults.segment_mode,
        help='rules of segment mAP (default: %(default)s)',
    )
    knobs.add_argument(
        '--unit', choices=UNITS, default=defaults.unit, help='unit of the scores (auto: by their number)'
    )
    knobs.add_argument(
        '--snippet-len', type=int, default=defaults.snippet_len, help='frames per snippet (default: %(default)s)'
    )
    knobs.add_argument(
        '--expand',
        choices=EXPANSIONS,
        default=defaults.expand,
        help='how snippet scores become frame scores (default: %(default)s)',
    )
    knobs.add_argument(
        '--smoothing',
        metavar='METHOD:K',
        help='smoothing of snippet scores: forward_window:7, fixed_blocks:8 (default: none)',
    )
    knobs.add_argument(
        '--length-policy',
        choices=LENGTH_POLICIES,
        default=defaults.length_policy,
        help='for scores of another length than the video (default: %(default)s)',
    )
    knobs.add_argument(
        '--interval-mode',
        choices=INTERVAL_MODES,
        default=defaults.interval_mode,
        help='convention of frame numbers in the annotation (default: %(default)s)',
    )
    knobs.add_argument(
        '--ap', choices=AP_MODES, default=defaults.ap_mode, help='kind of average precision (default: %(default)s)'
    )
    knobs.add_argument(
        '--macro',
        choices=MACRO_MODES,
        default=defaults.macro_mode,
        help='macro AUC of videos with frames of one class only (default: %(default)s)',
    )
    knobs.add_argument(
        '--far-threshold',
        type=float,
        default=defaults.far_threshold,
        help='frames with this score or more are alarms (default: %(default)s)',
    )
    knobs.add_argument(
        '--video',
        choices=VIDEO_MODES,
        default=defaults.video_mode,
        help='how frame scores become the score of a video (default: %(default)s)',
    )
    knobs.add_argument(
        '--tiou-threshold',
        type=_threshold,
        default='youden',
        help='TIoU: frames with this score or more are anomalous (default: %(default)s)',
    )
    knobs.add_argument(
        '--alpha',
        type=float,
        default=defaults.alpha,
        help='TBDC: share of regions to find per track (default: %(default)s)',
    )
    knobs.add_argument(
        '--beta', type=float, default=defaults.beta, help='RBDC, TBDC: IoU of a found region (default: %(default)s)'
    )
    knobs.add_argument(
        '--ious',
        type=float,
        nargs='+',
        default=list(SEGMENT_IOUS),
        help='IoU thresholds of segment mAP (default: 0.1 to 0.5)',
    )

    parser.add_argument('--subset', action='store_true', help='evaluate only the videos with predictions')
    parser.add_argument('--out', metavar='metrics.json', help='write metrics, protocols and settings to this JSON file')
    parser.add_argument(
        '--plots', metavar='DIR', help='folder for figures: ROC, precision-recall, classes, score curves'
    )
    parser.add_argument('--plot-videos', type=int, default=24, help='number of score curves (default: %(default)s)')
    return parser.parse_args(argv)


def options_of(args: argparse.Namespace) -> ScoringOptions:
    """The evaluation settings of the arguments."""
    return ScoringOptions(
        unit=args.unit,
        snippet_len=args.snippet_len,
        expand=args.expand,
        smoothing=args.smoothing,
        length_policy=args.length_policy,
        ap_mode=args.ap,
        macro_mode=args.macro,
        far_threshold=args.far_threshold,
        video_mode=args.video,
        segment_mode=args.mode,
        ious=tuple(args.ious),
        interval_mode=args.interval_mode,
        tiou_threshold=args.tiou_threshold,
        alpha=args.alpha,
        beta=args.beta,
    )


def _threshold(text: str) -> float | str:
    return text if text == 'youden' else float(text)


def protocol_of(args: argparse.Namespace) -> Protocol:
    """The protocol of the given name, with the given classes."""
    if args.protocol not in PROTOCOLS:
        raise ConfigError(f'There is no protocol {args.protocol!r}. {nearest(args.protocol, list(PROTOCOLS))}')
    protocol = PROTOCOLS[args.protocol]
    if args.classes is None:
        return protocol
    classes = tuple(name.strip() for name in args.classes.split(','))
    return dataclasses.replace(protocol, classes=check_class_names(classes, f'--classes {args.classes}'))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    quiet_third_parties()
    protocol, options = protocol_of(args), options_of(args)
    require_file(args.out, '--out', '.json')
    require_folder(args.plots, '--plots')
    counts = read_frame_counts(args.frames) if args.frames else None
    scores = _scores(args.pred, args, protocol)
    if counts is None and protocol.annotation == 'text':
        counts = counts_of_results(args.pred, scores)
    truth = read_ground_truth(protocol, args.ann, counts, options.interval_mode, predicted=scores, subset=args.subset)
    class_scores = _scores(args.class_pred, args, protocol) if args.class_pred else None
    boxes = [
        protocol.by_video_id(read_region_files(folder, columns)) if folder else None
        for folder, columns in ((args.detections, DETECTION_COLUMNS), (args.tracks, TRACK_COLUMNS))
    ]
    report = score_predictions(scores, truth, protocol, options, class_scores, *boxes)

    say(
        f'{protocol.dataset}: {len(truth)} videos, {report.num_frames:,} frames, {report.num_anomalous:,} of them '
        'anomalous'
    )
    if args.subset:
        say('--subset: these may be fewer than the test set has; numbers do not compare with published ones')
    say(f'scores are of {report.unit}s' + (' (told by their number)' if options.unit == 'auto' else ''))
    if report.touched:
        say(f'{report.touched} videos have scores of another length: {options.length_policy}')
    say()
    rows = [
        (key + (' *' if key == protocol.headline else ''), format_value(value), report.protocol[key])
        for key, value in report.metrics.items()
    ]
    say(format_table(rows, ('metric', 'value', 'protocol')))
    say(f'\n* what papers report on {protocol.dataset}')
    if args.out:
        write_report(args.out, report, protocol, options, args)
        say(f'metrics: {args.out}')
    if args.plots:
        from vadlab.visualization.figures.score_plots import draw_report

        for path in draw_report(report, args.plots, args.plot_videos):
            say(f'picture: {path}')
    return 0


def _scores(source: str, args: argparse.Namespace, protocol: Protocol) -> ScoreFiles:
    files = read_scores(source, args.crop, protocol.classes)
    return files.renamed(protocol.by_video_id({name: name for name in files}))


def write_report(
    path: str, report: ScoreReport, protocol: Protocol, options: ScoringOptions, args: argparse.Namespace
) -> None:
    """Write the metrics as JSON; an undefined metric (NaN) becomes null."""
    content: dict[str, Any] = {
        'metrics': {key: None if math.isnan(value) else value for key, value in report.metrics.items()},
        'protocol': report.protocol,
        'config': None,
        'checkpoint': None,
        'options': {
            'protocol': protocol.name,
            'classes': protocol.classes,
            'pred': args.pred,
            'class_pred': args.class_pred,
            'detections': args.detections,
            'tracks': args.tracks,
            'ann': args.ann,
            'frames': args.frames,
            'crop': args.crop,
            'subset': args.subset,
            **dataclasses.asdict(options),
            'unit': report.unit,
            'videos_of_another_length': report.touched,
        },
        'class_metrics': report.class_values,
        'versions': versions(),
    }
    write_json(path, content)


if __name__ == '__main__':
    run_cli(main)
