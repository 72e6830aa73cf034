"""Store patches of a frozen backbone: ``python tools/extract_patches.py CONFIG --cfg-options patch_store=DIR``."""

import argparse
from collections.abc import Sequence

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError
from vadlab.utils.many_files import Engine, add_engine_arguments
from vadlab.utils.option_checks import require_at_least
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.required_files import require_config
from vadlab.utils.runtime import quiet_third_parties


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Run the frozen part of a backbone once on all images, and store its output in the folder '
        'patch_store of the config. Training then reads the output instead of running this part. '
        'The same command continues an interrupted extraction.'
    )
    parser.add_argument('config', help='config of a captioner, such as configs/fsgr_coco.py')
    parser.add_argument('--dtype', default='float16', help='float16 (default), or float32, which needs twice the space')
    parser.add_argument('--batch-size', type=int, default=64, help='images per forward pass (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='processes that read images (default: %(default)s)')
    parser.add_argument(
        '--jobs',
        type=int,
        metavar='N',
        help='backbones at a time, each in a process (default: 1; with Ray, as many as the cluster has room for)',
    )
    add_engine_arguments(parser)
    parser.add_argument('--device', help='cpu, cuda, cuda:1 (default: the GPU, if there is one)')
    parser.add_argument('--overwrite', action='store_true', help='remove existing patches and extract all again')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'jobs', 'batch_size')
    require_at_least(0, args, 'workers')
    engine = Engine.of_models(args.engine, args.jobs, args.ray_address)
    require_config(args.config)
    engine.require()

    import torch
    from mmengine.logging import MMLogger

    from vadlab.apis.patch_extraction import PatchExtraction
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    config = load_config(args.config, parse_cfg_options(args.cfg_options))
    MMLogger.get_instance('vadlab', logger_name='vadlab')
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    own = device if engine.is_here else 'cpu'  # elsewhere, the backbone in this process only says what it is
    extraction = PatchExtraction(config, args.dtype, own, args.batch_size, args.workers)
    with ProgressBar('patches of images', line_every_s=30) as progress:
        report = extraction.run(args.overwrite, progress, engine, args.device if engine.name == 'processes' else device)
    recipe = extraction.recipe
    say(
        f'{extraction.folder}: {report.written} images in {report.seconds:.1f} s, {report.skipped} already done; '
        f'{recipe["shape"][0]} tokens of {recipe["shape"][1]} numbers before block {recipe["block"]}, {recipe["dtype"]}'
    )
    if report.bad:
        raise DataError(
            f'{len(report.bad)} images could not be used (first: {next(iter(report.bad.values()))}); all others are '
            'done. Fix or remove them, and start again'
        )
    return 0


if __name__ == '__main__':
    run_cli(main)
