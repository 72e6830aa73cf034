"""Draw samples as the model gets them: ``python tools/browse_dataset.py CONFIG --out DIR``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.option_checks import require_folder
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.runtime import add_common_arguments, config_from_arguments
from vadlab.visualization.report.file_names import picture_name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write one picture per sample: its frames after all transforms, with boxes and captions.'
    )
    parser.add_argument('config', help='the experiment, such as configs/fgclip_ucf.py')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train', help='default: train')
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for the pictures')
    parser.add_argument('--num', type=int, default=20, help='maximum number of samples (default: 20)')
    parser.add_argument('--frames', type=int, default=16, help='maximum number of frames per sample (default: 16)')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if args.num < 1 or args.frames < 1:
        raise ConfigError(f'--num {args.num} --frames {args.frames}: both must be at least 1.')
    require_folder(args.out, '--out')
    config = config_from_arguments(args, check=False)

    from PIL import Image

    from vadlab.registry import DATASETS
    from vadlab.visualization.renderers.sample_picture import draw_sample

    loader = config.get(f'{args.split}_dataloader')
    if loader is None:
        raise ConfigError(f'{args.config} sets no {args.split}_dataloader.')
    if args.seed is not None:
        import torch

        torch.manual_seed(args.seed)
    dataset = DATASETS.build(loader['dataset'])
    count = min(args.num, len(dataset))
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    with ProgressBar('samples', count) as bar:
        for i in range(count):
            item = dataset[i]
            sample = item['data_samples']
            if 'gt_regions' not in sample:
                raise ConfigError(f'{args.config}: samples of {args.split}_dataloader are not videos with regions.')
            picture = draw_sample(item['inputs'].permute(0, 2, 3, 1).numpy(), sample, args.frames)
            Image.fromarray(picture).save(folder / picture_name(sample.video_id))
            bar.advance()
    say(f'{count} of {len(dataset)} {args.split} samples drawn: {folder}')
    return 0


if __name__ == '__main__':
    run_cli(main)
