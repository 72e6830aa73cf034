"""Score predictions that were made elsewhere, under a published protocol.

Usage::

    python tools/eval_scores.py --pred scores/ --ann Temporal_Anomaly_Annotation.txt --frames test_num_frames.json \
        --protocol ucf-crime --out metrics.json --plots pictures/

``scores/`` holds one ``NAME.npy`` (or ``.csv``) a video, or is one ``.npz``: anomaly scores of frames or snippets,
shape (N,), or class probabilities with Normal first, shape (N, C). The same metrics score VADLab's own methods, and
each number is printed with the protocol that it follows.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
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
from vadlab.evaluation.score_files import UNITS, read_scores
from vadlab.evaluation.score_predictions import ScoreReport, ScoringOptions, score_predictions
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import check_writable, write_json
from vadlab.utils.printable import say
from vadlab.utils.runtime import format_table, format_value, quiet_third_parties, versions
from vadlab.utils.suggest import nearest


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Score predictions that were made elsewhere.')
    parser.add_argument('--pred', required=True, metavar='DIR_OR_NPZ', help='one NAME.npy or NAME.csv a video, or .npz')
    parser.add_argument('--ann', required=True, help='the annotation: a text file, or the folder of masks')
    parser.add_argument('--frames', metavar='FRAMES.json', help='frames of each video, {"NAME": 1408}')
    parser.add_argument('--protocol', required=True, help=', '.join(PROTOCOLS))
    parser.add_argument('--class-pred', metavar='DIR_OR_NPZ', help='class probabilities beside --pred, for segments')
    parser.add_argument('--detections', metavar='DIR', help='one NAME.txt a video, rows frame,x1,y1,x2,y2,score')
    parser.add_argument('--tracks', metavar='DIR', help='true boxes, one NAME.txt a video, track,frame,x1,y1,x2,y2')
    parser.add_argument('--classes', metavar='A,B,..', help="class names, Normal first (default: the protocol's)")
    parser.add_argument('--crop', type=int, help='where files are NAME__0, NAME__1, ..: this one (default: their mean)')

    defaults = ScoringOptions()
    knobs = parser.add_argument_group('choices, each named in the printed protocol')
    knobs.add_argument('--mode', choices=SEGMENT_MODES, default=defaults.segment_mode, help='of segment mAP')
    knobs.add_argument('--unit', choices=UNITS, default=defaults.unit, help='what a score is of (auto: by length)')
    knobs.add_argument('--snippet-len', type=int, default=defaults.snippet_len, help='frames (default: %(default)s)')
    knobs.add_argument('--expand', choices=EXPANSIONS, default=defaults.expand, help='from snippets to frames')
    knobs.add_argument('--smoothing', metavar='METHOD:K', help='forward_window:7, fixed_blocks:8 (default: none)')
    knobs.add_argument(
        '--length-policy', choices=LENGTH_POLICIES, default=defaults.length_policy, help='where lengths differ'
    )
    knobs.add_argument(
        '--interval-mode', choices=INTERVAL_MODES, default=defaults.interval_mode, help='what frame numbers mean'
    )
    knobs.add_argument('--ap', choices=AP_MODES, default=defaults.ap_mode, help='average precision')
    knobs.add_argument('--macro', choices=MACRO_MODES, default=defaults.macro_mode, help='videos of one class')
    knobs.add_argument(
        '--far-threshold', type=float, default=defaults.far_threshold, help='alarm (default: %(default)s)'
    )
    knobs.add_argument('--video', choices=VIDEO_MODES, default=defaults.video_mode, help="a video's score")
    knobs.add_argument('--tiou-threshold', type=_threshold, default='youden', help='a score (default: %(default)s)')
    knobs.add_argument('--alpha', type=float, default=defaults.alpha, help='share of a track (default: %(default)s)')
    knobs.add_argument('--beta', type=float, default=defaults.beta, help='IoU of a region (default: %(default)s)')
    knobs.add_argument('--ious', type=float, nargs='+', default=list(SEGMENT_IOUS), help='of segment mAP')

    parser.add_argument('--subset', action='store_true', help='score the videos with predictions, though not all have')
    parser.add_argument('--out', metavar='metrics.json', help='write numbers, protocols and choices here')
    parser.add_argument('--plots', metavar='DIR', help='draw ROC, precision-recall, classes and score curves')
    parser.add_argument('--plot-videos', type=int, default=24, help='score curves to draw (default: %(default)s)')
    return parser.parse_args(argv)


def options_of(args: argparse.Namespace) -> ScoringOptions:
    """The choices among the arguments."""
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
    """The protocol by its name, with the classes that were asked for."""
    if args.protocol not in PROTOCOLS:
        raise ConfigError(f'There is no protocol {args.protocol!r}. {nearest(args.protocol, list(PROTOCOLS))}')
    protocol = PROTOCOLS[args.protocol]
    if args.classes is None:
        return protocol
    classes = tuple(name.strip() for name in args.classes.split(','))
    return dataclasses.replace(protocol, classes=check_class_names(classes, f'--classes {args.classes}'))


def main(argv: Sequence[str] | None = None) -> int:
    """Score as the command line says; the exit status."""
    args = parse_args(argv)
    quiet_third_parties()
    protocol, options = protocol_of(args), options_of(args)
    if args.out and Path(args.out).suffix != '.json':
        raise ConfigError(f'--out {args.out}: must end with .json.')
    if args.out:
        check_writable(args.out, '--out')
    if args.plots:
        check_writable(Path(args.plots) / 'picture.png', '--plots')
    counts = read_frame_counts(args.frames) if args.frames else None
    scores = protocol.by_video_id(read_scores(args.pred, args.crop, protocol.classes))
    truth = read_ground_truth(protocol, args.ann, counts, options.interval_mode, predicted=scores, subset=args.subset)
    class_scores = (
        protocol.by_video_id(read_scores(args.class_pred, args.crop, protocol.classes)) if args.class_pred else None
    )
    boxes = [
        protocol.by_video_id(read_region_files(folder, columns)) if folder else None
        for folder, columns in ((args.detections, DETECTION_COLUMNS), (args.tracks, TRACK_COLUMNS))
    ]
    report = score_predictions(scores, truth, protocol, options, class_scores, *boxes)

    frames = sum(len(labels) for labels in report.labels.values())
    anomalous = sum(int(labels.sum()) for labels in report.labels.values())
    say(f'{protocol.dataset}: {len(truth)} videos, {frames:,} frames, {anomalous:,} of them anomalous')
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


def write_report(
    path: str, report: ScoreReport, protocol: Protocol, options: ScoringOptions, args: argparse.Namespace
) -> None:
    """Write the numbers as JSON; one that is not defined (NaN) becomes null."""
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
