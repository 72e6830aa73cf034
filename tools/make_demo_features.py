"""Extract features of the synthetic videos: ``python tools/make_demo_features.py``; `make demo-features` runs it."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.datasets.formats.feature_recipe import read_recipe
from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import write_json
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_config
from vadlab.utils.runtime import quiet_third_parties

if TYPE_CHECKING:
    from mmengine.config import Config

    from vadlab.apis.features.video_list import VideoItem


ANNOTATION = 'Temporal_Anomaly_Annotation.txt'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Make the feature set that the *_demo configs of weakly supervised methods train on: features/ and '
        'blank/ (of zeroed pixels), train.txt, test.txt, frames.json and the temporal annotation. Existing features '
        'of the same recipe are kept; features of another recipe are extracted again.'
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path('data/demo'),
        help='folder made by tools/make_demo_data.py (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, default=Path('data/demo_features'), help='default: %(default)s')
    parser.add_argument('--config', default='configs/features_clip_demo.py', help='default: %(default)s')
    parser.add_argument('--workers', type=int, default=1, help='decoding threads (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=64, help='frames per forward pass (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_config(args.config)
    splits = {split: read_split(args.data, split) for split in ('train', 'test')}

    from mmengine.logging import MMLogger

    from vadlab.apis.features.video_list import find_videos
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    MMLogger.get_instance('vadlab', logger_name='vadlab')
    videos = find_videos([args.data / 'Videos'])
    known = {video.name for video in videos}
    missing = [name for names in splits.values() for name in names if name not in known]
    if missing:
        raise DataError(f'{len(missing)} videos are annotated and not in {args.data / "Videos"} (first: {missing[0]})')
    config = load_config(args.config, parse_cfg_options(args.cfg_options))
    for folder, blank in (('features', False), ('blank', True)):
        config.features['blank'] = blank
        extract(config, videos, args.out / folder, args.batch_size, args.workers)
    crops = config.features['crops']
    for split, names in splits.items():
        lines = [f'{name}__{k}.npy\n' for name in names for k in range(crops)]
        write_text(args.out / f'{split}.txt', ''.join(lines))
    shutil.copyfile(args.data / ANNOTATION, args.out / ANNOTATION)
    frames = json.loads((args.out / 'features' / 'frames.json').read_text(encoding='utf-8'))
    write_json(args.out / 'frames.json', frames)
    say(f'{args.out}: {len(splits["train"])} videos to train with, {len(splits["test"])} to test on.')
    return 0


def read_split(data: Path, split: str) -> list[str]:
    """Names of a split's videos: their paths below ``Videos``, without file extension.

    Raises:
        MissingFileError: The synthetic videos are missing.
    """
    path = data / f'{split}.json'
    if not path.is_file() or not (data / ANNOTATION).is_file():
        raise MissingFileError(
            f'{data} is not a set of synthetic videos. Make one with: python tools/make_demo_data.py --out {data}'
        )
    records = json.loads(path.read_text(encoding='utf-8'))
    return [Path(record['f_path']).relative_to('Videos').with_suffix('').as_posix() for record in records]


def extract(config: Config, videos: list[VideoItem], out: Path, batch_size: int, workers: int) -> None:
    """Update a folder of features.

    Raises:
        DataError: A video cannot be used.
    """
    from vadlab.apis.features.extraction import FeatureExtraction
    from vadlab.utils.config import config_differences

    extraction = FeatureExtraction(config, out, 'cpu', batch_size, workers)
    stale = False
    if (out / 'recipe.json').is_file():
        new = json.loads(json.dumps(extraction.recipe()))
        differences = config_differences(read_recipe(out)['recipe'], new)
        stale = bool(differences)
        if stale:
            say(f'{out}: extracted again, since the recipe has changed ({"; ".join(differences[:3])})')
    extraction.prepare(overwrite=stale)
    report = extraction.run(videos)
    if report.bad:
        raise DataError(f'{len(report.bad)} videos cannot be used (first: {next(iter(report.bad.values()))})')
    say(f'{out}: {len(report.done)} videos in {report.seconds:.0f} s, {len(report.skipped)} already done')


if __name__ == '__main__':
    run_cli(main)
