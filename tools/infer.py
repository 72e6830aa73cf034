"""Caption images and videos: ``python tools/infer.py CONFIG CHECKPOINT INPUT... --out DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import check_writable, write_json
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_checkpoint, require_config, require_paths
from vadlab.utils.runtime import add_common_arguments, config_from_arguments
from vadlab.visualization.report.file_names import picture_name
from vadlab.visualization.report.picture_page import Article, PicturePage

if TYPE_CHECKING:
    from vadlab.apis.inferencers.caption_inferencer import Described
    from vadlab.apis.inferencers.caption_inputs import CaptionInput


NO_CHECKPOINT = 'none'
_DPI = 110


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Print a caption for each image, and for frames of each video. --out also writes captions.json, '
        'a picture with the concept of each patch, and an HTML page of all.'
    )
    parser.add_argument('config', help='the experiment, such as configs/fsgr_coco.py')
    parser.add_argument(
        'checkpoint', help='trained weights; "none" if the model loads its weights itself (an ensemble)'
    )
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='images, videos, or folders of them')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for captions.json, pictures and index.html')
    frames = parser.add_mutually_exclusive_group()
    frames.add_argument(
        '--every', type=float, default=2.0, metavar='S', help='caption a frame every S seconds of a video (default: 2)'
    )
    frames.add_argument('--frames', type=int, metavar='N', help='caption N evenly spaced frames of a video')
    parser.add_argument('--no-pictures', action='store_true', help='do not draw pictures')
    parser.add_argument('--batch-size', type=int, default=16, help='images per forward pass (default: 16)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if there is one)')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, 2 if a file cannot be read."""
    args = parse_args(argv)
    require_config(args.config)
    if args.checkpoint != NO_CHECKPOINT:
        require_checkpoint(args.checkpoint)
    require_paths(args.inputs, 'image, video or folder')
    if args.out:
        check_writable(args.out / 'captions.json', '--out')
    if args.every <= 0 or (args.frames is not None and args.frames < 1):
        raise ConfigError('--every and --frames must be positive.')

    from vadlab.apis.inferencers.caption_inferencer import CaptionInferencer
    from vadlab.apis.inferencers.caption_inputs import find_inputs, read_inputs

    find_inputs(args.inputs)  # find missing files before the model is built
    config = config_from_arguments(args, check=False)
    checkpoint = None if args.checkpoint == NO_CHECKPOINT else args.checkpoint
    inferencer = CaptionInferencer(config, checkpoint, args.device, args.batch_size)

    unread: list[CaptionInput] = []
    records: list[dict[str, Any]] = []
    articles: list[Article] = []
    for found in inferencer(_readable(read_inputs(args.inputs, args.every, args.frames), unread)):
        say(f'{found.source.name}: {found.caption}', flush=True)
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
    draw_concepts(picture).savefig(out / name, dpi=_DPI)
    return Article(found.caption, [name], source.name, order=-number)


def _readable(inputs: Iterator[CaptionInput], unread: list[CaptionInput]) -> Iterator[CaptionInput]:
    """Yield the images that can be read; add the others to a list."""
    for source in inputs:
        if source.error is None:
            yield source
        else:
            unread.append(source)


if __name__ == '__main__':
    run_cli(main)
