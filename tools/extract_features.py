"""Snippet features of videos: ``python tools/extract_features.py CONFIG VIDEOS --out DIR``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.folder_lock import lock_folder
from vadlab.utils.json_file import write_json
from vadlab.utils.many_files import Engine, add_engine_arguments
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.option_checks import require_at_least, require_folder
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.required_files import no_file_advice, require_config, require_paths
from vadlab.utils.runtime import quiet_third_parties

if TYPE_CHECKING:
    from vadlab.apis.features.extraction import ExtractionReport
    from vadlab.apis.features.video_list import VideoItem


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Extract snippet features: NAME__k.npy of shape (snippets, channels) per video and crop k, in the '
        'same subfolders of --out as the videos, with recipe.json and frames.json. The same command continues an '
        'interrupted extraction.'
    )
    parser.add_argument('config', help='a features config, such as configs/features_clip_vit_b16.py')
    parser.add_argument('videos', nargs='+', help='videos, folders of videos or of frames, .txt lists of videos')
    parser.add_argument('--out', required=True, type=Path, help='folder of the features')
    parser.add_argument('--root', help='name features by the path of their video below this folder')
    parser.add_argument('--crops', type=int, choices=[1, 5, 10], help='number of crops (default: as in the config)')
    parser.add_argument('--blank', action='store_true', help='set all pixels to zero, as a control')
    parser.add_argument(
        '--batch-size', type=int, default=64, help='frames per forward pass, crops counted (default: %(default)s)'
    )
    parser.add_argument(
        '--workers',
        type=int,
        help='decoding threads of a model (default: one per core, at most 8; of each of several models: 1)',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        metavar='N',
        help='models at a time, each in a process (default: 1; with Ray, as many as the cluster has room for)',
    )
    add_engine_arguments(parser)
    parser.add_argument('--device', help='cpu, cuda, cuda:1 (default: the GPU of this process, if there is one)')
    parser.add_argument(
        '--shard', metavar='I/N', help='extract only every N-th video from video I on (default: from torchrun)'
    )
    parser.add_argument(
        '--max-bad-videos', type=int, default=0, help='exit status 2 if there are more bad videos (default: 0)'
    )
    parser.add_argument('--overwrite', action='store_true', help='remove existing features and extract all again')
    parser.add_argument('--seed', type=int, default=0, help='seed of random weights (default: 0)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'jobs', 'workers', 'batch_size')
    require_at_least(0, args, 'max_bad_videos')
    engine = Engine.of_models(args.engine, args.jobs, args.ray_address)
    require_config(args.config)
    require_paths(args.videos, 'video', no_file_advice)
    require_folder(args.out, '--out')
    engine.require()

    from mmengine.logging import MMLogger

    from vadlab.apis.features.extraction import FeatureExtraction, default_device
    from vadlab.apis.features.video_list import find_videos, parse_shard, shard_of, wait_for_other_shards
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    shard = parse_shard(args.shard)
    config = load_config(args.config, parse_cfg_options(args.cfg_options))
    if config.get('features') is None or config.get('model') is None:
        raise ConfigError(f'{args.config} has no settings of features. Use a config such as features_clip_vit_b16.py.')
    if args.overwrite and shard[1] > 1:
        raise ConfigError('--overwrite with several shards would remove features of another shard. Empty --out first.')
    if args.crops is not None:
        config.features['crops'] = args.crops
    if args.blank:
        config.features['blank'] = True
    MMLogger.get_instance('vadlab', logger_name='vadlab')
    videos = find_videos(args.videos, args.root)
    mine = shard_of(videos, shard)
    device = args.device or default_device()
    if engine.is_here:
        workers = min(os.cpu_count() or 1, 8) if args.workers is None else args.workers
        extraction = FeatureExtraction(config, args.out, device, args.batch_size, workers, args.seed)
    else:  # the models are elsewhere; the one in this process only says what they are
        workers = 1 if args.workers is None else args.workers
        extraction = FeatureExtraction(config, args.out, 'cpu', args.batch_size, workers, args.seed)
    # Several processes may extract shards into one folder; but not while one removes what is there.
    with lock_folder(args.out, '--out', is_shared=not args.overwrite):
        extraction.prepare(args.overwrite, None if engine.is_here else device)
        total = max(sum(video.size for video in mine), 1)  # bytes: videos differ in length
        with ProgressBar('features', total, line_every_s=30, as_share=True) as bar:

            def show(video: VideoItem, share: float) -> None:
                bar(bar.done + share * video.size, note=video.name.rsplit('/', 1)[-1])

            report = extraction.run(mine, show, engine, args.device if engine.name == 'processes' else device)
    tell(args.out, report, shard)
    if args.shard is None:
        wait_for_other_shards()
    if len(report.bad) > args.max_bad_videos:
        raise DataError(
            f'{len(report.bad)} of {len(mine)} videos could not be used (first: {next(iter(report.bad.values()))}); '
            f'all others are done. See {bad_file(args.out, shard)}; --max-bad-videos {len(report.bad)} accepts them.'
        )
    return 0


def bad_file(out: Path, shard: tuple[int, int]) -> Path:
    """The file that lists skipped videos."""
    return out / ('bad_videos.json' if shard[1] == 1 else f'bad_videos.{shard[0]}-of-{shard[1]}.json')


def tell(out: Path, report: ExtractionReport, shard: tuple[int, int]) -> None:
    """Print a summary, and write the list of bad videos."""
    file = bad_file(out, shard)
    if report.bad:
        write_json(file, [{'video': name, 'reason': report.bad[name]} for name in natural_sorted(report.bad)])
    else:
        file.unlink(missing_ok=True)
    part = f' (shard {shard[0]} of {shard[1]})' if shard[1] > 1 else ''
    say(
        f'{out}{part}: {len(report.done)} videos, {report.snippets} snippets of {report.frames} frames in '
        f'{report.seconds:.1f} s ({report.frames / max(report.seconds, 1e-9):.0f} frames/s); '
        f'{len(report.skipped)} already done; {len(report.bad)} skipped'
    )
    if report.short:
        say(
            f'{len(report.short)} videos are shorter than one snippet; their last frame is repeated: {report.short[:3]}'
        )


if __name__ == '__main__':
    run_cli(main)
