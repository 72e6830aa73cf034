"""Publish a trained model or features on the Hugging Face hub: ``python tools/push.py CHECKPOINT USER/NAME``."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.hub_address import parse_address
from vadlab.utils.hub_files import MANIFEST
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_checkpoint, require_config, require_paths

EXAMPLES = """examples:
  vadlab test rtfm_ucf work_dirs/rtfm_ucf/epoch_50.pth --out metrics.json
  vadlab push work_dirs/rtfm_ucf/epoch_50.pth USER/rtfm-ucf --metrics metrics.json --licence cc-by-4.0 \\
      --data "UCF-Crime, I3D features of ten crops" --out published      # write the files and look at them
  vadlab push published USER/rtfm-ucf                                    # upload them
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Publish a trained model on the Hugging Face hub: weights without pickles, the config as data, '
        'metrics with their protocol, and a model card. Others use it by: vadlab test hf://USER/NAME',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', metavar='CHECKPOINT', help='a checkpoint of VADLab, or a folder that --out wrote')
    parser.add_argument('target', metavar='USER/NAME', help='the repository; it is made if it does not exist')
    card = parser.add_argument_group('the card')
    card.add_argument('--licence', '--license', metavar='ID', help='licence of the weights, such as cc-by-4.0')
    card.add_argument('--data', default='', metavar='TEXT', help='training data and its terms')
    card.add_argument('--notes', default='', metavar='TEXT', help='further text of the card')
    card.add_argument('--metrics', metavar='FILE', help='metrics of these weights, from test.py --out')
    card.add_argument(
        '--seeds', nargs='+', default=[], metavar='FILE', help='metrics of the same experiment with other seeds'
    )
    card.add_argument('--blanked', metavar='FILE', help='metrics of the control that saw blanked frames')
    parser.add_argument('--config', help='the config, if the checkpoint has none')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the published config')
    parser.add_argument('--out', type=Path, metavar='DIR', help='write the files there, and upload nothing')
    parser.add_argument('--dry-run', action='store_true', help='print the card and the files, and upload nothing')
    parser.add_argument('--private', action='store_true', help='a new repository can be seen by its owner only')
    parser.add_argument('--revision', default='', metavar='BRANCH', help='push to this branch (default: main)')
    parser.add_argument('--overwrite', action='store_true', help='replace what an earlier push wrote')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    text = args.target if args.target.startswith('hf:') else f'hf://{args.target}'
    address = parse_address(f'{text}@{args.revision}' if args.revision else text)
    if address.file or address.sha256:
        raise ConfigError(f'{args.target}: name a repository, USER/NAME.')
    source = Path(args.source)
    is_written = (source / MANIFEST).is_file()
    if not is_written:
        if args.config:
            require_config(args.config)
        require_checkpoint(args.source)
        require_paths([path for path in (args.metrics, args.blanked, *args.seeds) if path], 'metrics file')
        if not args.licence:
            raise ConfigError(
                '--licence is missing: others may use weights only under a licence. Name one of the hub, such as '
                '--licence cc-by-4.0, --licence cc-by-nc-4.0 or --licence apache-2.0. The data that the weights were '
                'trained on may limit the choice.'
            )

    with tempfile.TemporaryDirectory() as scratch:
        if is_written:
            from vadlab.apis.publishing.model_folder import check_model_folder

            if args.out:
                raise ConfigError(f'--out: {source} is a folder that --out wrote.')
            folder, names = source, check_model_folder(source)
        else:
            folder = args.out or Path(scratch) / 'model'
            names = write(args, address, folder)
        if args.dry_run:
            say((folder / 'README.md').read_text(encoding='utf-8'))
        sizes = ', '.join(f'{name} ({(folder / name).stat().st_size:,} bytes)' for name in names)
        say(f'files: {sizes}')
        if args.out:
            say(f'written: {folder}. Look at README.md, then upload: python tools/push.py {folder} {args.target}')
        if args.out or args.dry_run:
            return 0

        from vadlab.apis.publishing.upload import Target, upload

        done = upload(folder, names, Target(address, args.private, args.overwrite), say)
        say(f'pushed: {done}')
        say(f'test it: python tools/test.py hf://{address.repo_id}{f"@{args.revision}" if args.revision else ""}')
    return 0


def write(args: argparse.Namespace, address: Any, folder: Path) -> list[str]:
    """Write the files of a model; return their names."""
    from vadlab.apis.publishing.model_card import CardFacts
    from vadlab.apis.publishing.model_folder import Reports, write_model_folder
    from vadlab.utils.cfg_options import parse_cfg_options
    from vadlab.utils.runtime import quiet_third_parties

    quiet_third_parties()
    return write_model_folder(
        args.source,
        folder,
        CardFacts(address.repo_id, args.licence, args.data, args.notes),
        args.config,
        parse_cfg_options(args.cfg_options),
        Reports(args.metrics, args.seeds, args.blanked),
        lambda line: say(line, flush=True),
    )


if __name__ == '__main__':
    run_cli(main)
