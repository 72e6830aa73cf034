"""Predict for any files: ``python tools/infer.py CONFIG CHECKPOINT INPUT... --out DIR``.

A detector scores videos and lists anomalous events; a captioner captions images and frames of videos; a recogniser
names species and behaviour of clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.folder_lock import lock_outputs
from vadlab.utils.json_file import write_json
from vadlab.utils.many_files import Engine, add_engine_arguments
from vadlab.utils.model_arguments import add_model_arguments, calibrate_command, parse_model_arguments
from vadlab.utils.option_checks import require_at_least, require_folder
from vadlab.utils.printable import one_line, say
from vadlab.utils.required_files import no_file_advice, require_model, require_paths
from vadlab.utils.runtime import add_backend_argument, add_common_arguments, config_from_arguments
from vadlab.utils.scoring_arguments import (
    add_prompt_arguments,
    add_threshold_arguments,
    check_caption_frames,
    given_thresholds,
)
from vadlab.visualization.report.file_names import picture_name
from vadlab.visualization.report.picture_page import Article, PicturePage

if TYPE_CHECKING:
    from mmengine.config import Config

    from vadlab.apis.inferencers.caption_inferencer import Described
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer
    from vadlab.structures.video_result import VideoResult


_DPI = 110
#: Options of one task, with their defaults: others are refused for another task.
_OF_VIDEOS = {
    'prompt': None, 'negative': None, 'prompt_file': None, 'negative_file': None, 'sampling': None, 'threshold': None,
    'min_s': None, 'gap_s': None, 'fps': 25.0, 'feature_config': None,
    'report': None, 'save_video': None, 'boxes': False, 'captioner': None, 'heat_map': None, 'dry_run': False,
}  # fmt: skip
_OF_CLIPS = {'clip_s': None}
_OF_CAPTIONS = {'every': 2.0, 'frames': None, 'no_pictures': False}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Detectors: print the anomalous events of videos; --out also writes the score of every frame. '
        'Captioners: print a caption for each image, and for frames of each video; --out also writes captions.json, a '
        'picture with the concept of each patch, and an HTML page of all. Recognisers: print species and behaviour.'
    )
    add_model_arguments(
        parser,
        'trained weights; "none" for zero-shot, and if the model loads its weights itself',
        'INPUT',
        'videos (for captioners also images), folders of them, folders of frames, lists (.txt), or patterns',
    )
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for the results; a killed run continues there')
    parser.add_argument('--batch-size', type=int, help='images or frames per forward pass (default: 16, videos 32)')
    parser.add_argument(
        '--fill-batches',
        action=argparse.BooleanOptionalAction,
        help='frames or clips of several videos in a batch: faster for short videos on a GPU, but scores may differ in '
        'the last digits with the other videos (default: on a GPU)',
    )
    parser.add_argument(
        '--workers', type=int, help='threads that read videos (default: 2; for each of several models: 1)'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if there is one)')
    add_backend_argument(parser)
    many = parser.add_argument_group('many files')
    many.add_argument(
        '--jobs',
        type=int,
        metavar='N',
        help='models at a time, each in a process (default: 1; with Ray, as many as the cluster has room for)',
    )
    add_engine_arguments(many)
    _add_video_arguments(parser.add_argument_group('detectors'))
    captions = parser.add_argument_group('captioners')
    frames = captions.add_mutually_exclusive_group()
    frames.add_argument(
        '--every', type=float, default=2.0, metavar='S', help='caption a frame every S seconds of a video (default: 2)'
    )
    frames.add_argument('--frames', type=int, metavar='N', help='caption N evenly spaced frames of a video')
    captions.add_argument('--no-pictures', action='store_true', help='do not draw pictures')
    clips = parser.add_argument_group('recognisers')
    clips.add_argument('--clip-s', type=float, metavar='S', help='cut videos into clips of S seconds')
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def _add_video_arguments(group: argparse._ArgumentGroup) -> None:
    add_prompt_arguments(group)
    group.add_argument(
        '--sampling',
        metavar='N',
        help='score every Nth frame; "test": the frames of the test; "auto" (default): those, or every 16th if more',
    )
    add_threshold_arguments(group)
    group.add_argument('--fps', type=float, default=25.0, help='frame rate of folders of frames (default: 25)')
    group.add_argument('--boxes', action='store_true', help='find boxes of the events, and link them to tracks')
    group.add_argument(
        '--captioner',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='caption the best box of each track with a captioner; with --boxes',
    )
    group.add_argument('--heat-map', type=Path, metavar='DIR', help="write heat maps of each event's class at its peak")
    group.add_argument('--report', type=Path, metavar='DIR', help='write a page per video: player, curve, events')
    group.add_argument(
        '--save-video', type=Path, metavar='DIR', help='write each video with its curve and classes drawn into it'
    )
    group.add_argument('--feature-config', metavar='FILE', help='extractor for a method on snippet features')
    group.add_argument(
        '--dry-run',
        action='store_true',
        help='methods that ask a model: count calls, images and tokens, and ask nothing',
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, 2 if a file cannot be used."""
    args = parse_args(argv)
    require_at_least(1, args, 'jobs', 'workers', 'batch_size')
    args.checkpoint = require_model(args.config, args.checkpoint, args.backend)
    require_paths([path for path in args.inputs if not has_magic(path)], 'image, video or folder', no_file_advice)
    require_paths([path for path in (args.prompt_file, args.negative_file) if path], 'file')
    if args.captioner:
        if not args.boxes:
            raise ConfigError('--captioner captions boxes. Add --boxes.')
        args.captioner[1] = require_model(*args.captioner)
    for option in ('out', 'report', 'save_video', 'heat_map'):
        require_folder(getattr(args, option), f'--{option.replace("_", "-")}')
    check_caption_frames(args.every, args.frames)
    if not 0 < args.fps < 1e6:
        raise ConfigError(f'--fps must be above 0, not {args.fps:g}.')
    thresholds = given_thresholds(args)
    engine = Engine.of_models(args.engine, args.jobs, args.ray_address)
    engine.require()
    if args.fill_batches and not engine.is_here:
        raise ConfigError('--fill-batches: with --jobs or --engine each video has batches of its own. Leave one out.')
    if args.workers is None:
        args.workers = 2 if engine.is_here else 1
    _refuse_report_in_results(args)

    config = config_from_arguments(args, check=False)
    kinds = {step['type'] for step in (config.get('test_dataloader') or {}).get('dataset', {}).get('pipeline') or []}
    if 'LoadImage' in kinds:
        _refuse(args, _OF_VIDEOS | _OF_CLIPS, 'a captioner')
        with lock_outputs({'--out': args.out}):
            return caption_files(args, config, engine)
    if 'LoadClip' in kinds:
        _refuse(args, _OF_VIDEOS | _OF_CAPTIONS | {'backend': 'torch'}, 'a recogniser')
        with lock_outputs({'--out': args.out}):
            return recognise_clips(args, config, engine)
    _refuse(args, _OF_CAPTIONS | _OF_CLIPS, 'a detector')
    # --out is not locked: processes of the same run may share it, since it has files of its own for each video.
    with lock_outputs({'--report': args.report, '--save-video': args.save_video, '--heat-map': args.heat_map}):
        return score_videos(args, config, thresholds, engine)


def _refuse(args: argparse.Namespace, options: dict[str, Any], what: str) -> None:
    """Refuse options that have no meaning for the model."""
    for name, default in options.items():
        if getattr(args, name) != default:
            raise ConfigError(f'--{name.replace("_", "-")} is not an option for {what}, which {args.config} describes.')


def _refuse_report_in_results(args: argparse.Namespace) -> None:
    """Refuse a report inside the folder of the results, or the reverse: each counts only its own files."""
    if args.out and args.report:
        out, report = args.out.resolve(), args.report.resolve()
        if out.is_relative_to(report) or report.is_relative_to(out):
            raise ConfigError(f'--out {args.out} and --report {args.report}: name two folders, side by side.')


# ------------------------------------------------------------------------------------------------------------ detectors


def score_videos(args: argparse.Namespace, config: Config, given: dict[str, float], engine: Engine) -> int:
    """Score videos and print their events; return the exit status."""
    from vadlab.apis.inferencers.box_captions import BoxCaptioner
    from vadlab.apis.inferencers.outputs import ResultOutputs, check_outputs
    from vadlab.apis.inferencers.result_lines import event_lines
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer, sampling_of
    from vadlab.apis.inferencers.video_inputs import all_prompts, find_sources

    find_sources(args.inputs)  # find missing files before the model is built
    check_outputs(args.report, args.save_video)
    prompts, negatives = all_prompts(args.prompt, args.prompt_file), all_prompts(args.negative, args.negative_file)
    inferencer = VADInferencer(
        config,
        args.checkpoint,
        args.device,
        sampling_of(args.sampling or 'auto'),
        workers=args.workers,
        batch_size=32 if args.batch_size is None else args.batch_size,
        fps=args.fps,
        feature_config=args.feature_config,
        backend=args.backend,
        fill_batches=args.fill_batches,
    )
    inferencer.use_prompts(prompts, negatives)
    if args.dry_run:
        return tell_costs(inferencer, args.inputs)
    if args.boxes:
        inferencer.box_finder()  # fail before scoring if the method cannot find boxes
    captioner = None
    if args.captioner:
        try:
            captioner = BoxCaptioner(args.captioner[0], args.captioner[1], args.device)
        except ConfigError as error:
            raise ConfigError(f'--captioner {args.captioner[0]}: {error}') from error
    if args.heat_map:
        inferencer.localizer()
    inferencer.use_thresholds(given)
    tell_thresholds(inferencer, args)
    failed = 0
    with ResultOutputs(inferencer.run_info(), args.report, args.save_video) as outputs:
        for result in inferencer(args.inputs, prompts, negatives, args.out, args.boxes, True, captioner, engine):
            outputs.add(result)
            if result.error is None:
                if args.heat_map:
                    write_heat_maps(inferencer, result, args.heat_map)
                say('\n'.join(event_lines(result)), flush=True)
            else:
                failed += 1
                say(f'not scored: {one_line(result.error)}', file=sys.stderr)
    for line in outputs.summary():
        say(line)
    counts = getattr(inferencer.model, 'counts', None)
    if counts is not None:
        say(f'answers: {counts}')
    if args.out:
        say(f'\nresults: {args.out}')
    if failed:
        say(f'videos that could not be scored: {failed}', file=sys.stderr)
    return 2 if failed or outputs.not_drawn else 0


def tell_costs(inferencer: VADInferencer, inputs: Sequence[str]) -> int:
    """Print what scoring would ask of a model; return the exit status."""
    from vadlab.apis.answer_costs import cost_table, expected_costs
    from vadlab.apis.inferencers.video_inputs import find_sources

    if not hasattr(inferencer.model, 'expected'):
        raise ConfigError(f'--dry-run: {type(inferencer.model).__name__} asks no model. Leave it out.')
    paths = [source.path for source in find_sources(inputs)]
    say(cost_table(expected_costs(inferencer.model, paths), len(paths), inferencer.model.cost_note))
    return 0


def write_heat_maps(inferencer: VADInferencer, result: VideoResult, folder: Path) -> None:
    """Write a picture per event: a heat map of its class at the peak."""
    import cv2
    import numpy as np

    from vadlab.apis.inferencers.video_inputs import VideoSource
    from vadlab.datasets.video import read_frames
    from vadlab.utils.atomic import write_bytes
    from vadlab.visualization.heat_map import draw_heat_map

    for number, event in enumerate(result.events):
        if event.label is None:
            continue
        phrase = inferencer.model.score_head.phrases_of(event.label)[0]
        source = VideoSource(result.path, result.name)
        heat = inferencer.localizer().heat_maps(source, [event.peak], phrase)[0]
        picture = draw_heat_map(read_frames(result.path, np.array([event.peak]))[0], heat)
        _, content = cv2.imencode('.png', picture[..., ::-1])
        write_bytes(folder / f'{result.name}.{number}.png', content.tobytes())


def tell_thresholds(inferencer: VADInferencer, args: argparse.Namespace) -> None:
    """Print the thresholds, and where they come from."""
    from vadlab.apis.inferencers.result_lines import thresholds_line

    chosen = inferencer.chosen_thresholds()
    say(f'frames: {inferencer.sampled}')
    say(thresholds_line(chosen))
    if chosen.false_alarms_per_hour is not None:
        found = inferencer.calibration()
        say(
            f'        {chosen.false_alarms_per_hour:.2f} false alarms an hour there'
            + (f' ({found.path})' if found else '')
        )
    if chosen.source.startswith('not calibrated'):
        say(
            'warning: 0.5 is not a useful threshold without calibration. Calibrate on footage without anomalies: '
            + calibrate_command(args),
            file=sys.stderr,
        )


# ---------------------------------------------------------------------------------------------------------------- clips


def recognise_clips(args: argparse.Namespace, config: Config, engine: Engine) -> int:
    """Recognise clips and print their classes; return the exit status."""
    from vadlab.apis.inferencers.clip_inferencer import ClipInferencer
    from vadlab.apis.inferencers.result_lines import clock

    batch_size = 8 if args.batch_size is None else args.batch_size
    options = dict(clip_s=args.clip_s, workers=args.workers, batch_size=batch_size, fill_batches=args.fill_batches)
    inferencer = ClipInferencer(config, args.checkpoint, args.device, **options)
    records: list[dict[str, Any]] = []
    failed = 0
    for clip in inferencer(args.inputs, engine):
        record: dict[str, Any] = {'name': clip.source.name, 'path': clip.source.path}
        if clip.error is not None:
            failed += 1
            say(f'not recognised: {one_line(clip.error)}', file=sys.stderr)
            records.append({**record, 'error': clip.error})
            continue
        heads = {
            head: {name: round(float(score), 4) for name, score in zip(inferencer.classes[head], scores, strict=True)}
            for head, scores in clip.scores.items()
        }
        best = '; '.join(f'{head} {name} {found[name]:.2f}' for head, found in heads.items()
                         for name in [max(found, key=lambda key: found[key])])  # fmt: skip
        sound = '' if clip.has_audio else ' (no sound)'
        say(f'{one_line(clip.source.name)}  {clock(clip.start_s)} to {clock(clip.end_s)}{sound}: {best}', flush=True)
        span = {'start_s': round(clip.start_s, 3), 'end_s': round(clip.end_s, 3), 'has_audio': clip.has_audio}
        records.append({**record, **span, 'scores': heads})
    if args.out:
        write_json(args.out / 'clips.json', records)
        say(f'\nclips: {args.out / "clips.json"}')
    return 2 if failed else 0


# ------------------------------------------------------------------------------------------------------------- captions


def caption_files(args: argparse.Namespace, config: Config, engine: Engine) -> int:
    """Caption images and frames of videos; return the exit status."""
    from vadlab.apis.inferencers.caption_inferencer import CaptionInferencer
    from vadlab.apis.inferencers.caption_inputs import CaptionInput, find_inputs

    find_inputs(args.inputs)  # find missing files before the model is built
    batch_size = 16 if args.batch_size is None else args.batch_size
    options = dict(batch_size=batch_size, backend=args.backend, fill_batches=args.fill_batches)
    inferencer = CaptionInferencer(config, args.checkpoint, args.device, **options)

    unread: list[CaptionInput] = []
    records: list[dict[str, Any]] = []
    articles: list[Article] = []
    for found in inferencer.files(args.inputs, args.every, args.frames, engine, args.workers):
        if isinstance(found, CaptionInput):
            unread.append(found)
            continue
        say(f'{one_line(found.source.name)}: {found.caption}', flush=True)
        records.append(record_of(found, inferencer.concepts))
        if args.out and not args.no_pictures:
            articles.append(draw(found, inferencer.concepts, args.out, len(articles)))
    for source in unread:
        say(f'not described: {source.error}', file=sys.stderr)
    if args.out:
        records += [{'name': source.name, 'path': source.path, 'error': source.error} for source in unread]
        write_json(args.out / 'captions.json', records)
        say(f'\ncaptions: {args.out / "captions.json"}')
    if articles:
        page = PicturePage('Described images', articles).write(args.out, f'{len(articles)} images.')
        say(f'pictures: {page}')
    return 2 if unread else 0


def record_of(found: Described, names: Sequence[str]) -> dict[str, Any]:
    """The entry of an image in ``captions.json``."""
    from vadlab.visualization.renderers.concept_picture import concept_shares

    source = found.source
    record: dict[str, Any] = {'name': source.name, 'path': source.path}
    if source.frame is not None:
        record |= {'frame': source.frame, 'time_s': source.time_s}
    shares = {name: round(share, 4) for name, share in concept_shares(found.concepts, names).items()}
    return {**record, 'caption': found.caption, 'log_prob': round(found.score, 4), 'concepts': shares}


def draw(found: Described, names: Sequence[str], out: Path, number: int) -> Article:
    """Draw the patches of an image to a file with a unique name; return its part of the page."""
    from vadlab.visualization.renderers.concept_picture import ConceptPicture, draw_concepts

    source = found.source
    name = f'{number:05d}_{picture_name(source.name)}'
    picture = ConceptPicture(source.name, found.seen, found.caption, found.concepts, names)
    out.mkdir(parents=True, exist_ok=True)
    draw_concepts(picture).savefig(out / name, dpi=_DPI)
    return Article(found.caption, [name], source.name, order=-number)


if __name__ == '__main__':
    run_cli(main)
