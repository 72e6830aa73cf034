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

CARD = 'README.md'

EXAMPLES = """examples:
  vadlab test rtfm_ucf work_dirs/rtfm_ucf/epoch_50.pth --out metrics.json
  vadlab push work_dirs/rtfm_ucf/epoch_50.pth USER/rtfm-ucf --metrics metrics.json --licence cc-by-4.0 \\
      --data "UCF-Crime, I3D features of ten crops" --out published      # write the files and look at them
  vadlab push published USER/rtfm-ucf                                    # upload them
  vadlab push data/features USER/features --licence cc-by-4.0            # features, recipe, lists, annotations
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Publish a trained model on the Hugging Face hub: weights without pickles, the config as data, '
        'metrics with their protocol, and a model card. Others use it by: vadlab test hf://USER/NAME',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source', metavar='CHECKPOINT', help='a checkpoint, a folder that --out wrote, or a folder of features'
    )
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
    source = Path(args.source)
    is_written = (source / MANIFEST).is_file()
    is_features = not is_written and _holds_features(source)
    text = args.target if args.target.startswith('hf:') else f'hf://{"datasets/" * is_features}{args.target}'
    address = parse_address(f'{text}@{args.revision}' if args.revision else text)
    if address.file or address.sha256 or address.is_dataset != is_features:
        raise ConfigError(f'{args.target}: name a repository, USER/NAME.')
    if not is_written:
        if args.config:
            require_config(args.config)
        if not is_features:
            require_checkpoint(args.source)
        require_paths([path for path in (args.metrics, args.blanked, *args.seeds) if path], 'metrics file')
        if not args.licence:
            raise ConfigError(
                '--licence is missing: others may use files only under a licence. Name one of the hub, such as '
                '--licence cc-by-4.0, --licence cc-by-nc-4.0 or --licence apache-2.0. The data behind them may limit '
                'the choice.'
            )
    if args.out and (is_written or is_features):
        raise ConfigError(f'--out is for checkpoints. {source} is a folder: look at it by --dry-run.')

    with tempfile.TemporaryDirectory() as scratch:
        if is_features:
            files, card = write_features(args, address, Path(scratch))
        else:
            folder = source if is_written else args.out or Path(scratch) / 'model'
            names = check(folder) if is_written else write(args, address, folder)
            files = {name: folder / name for name in names}
            card = files[CARD].read_text(encoding='utf-8') if CARD in files else ''
        if args.dry_run:
            say(card)
        sizes = [f'{name} ({path.stat().st_size:,} bytes)' for name, path in files.items()]
        say(f'files: {", ".join(sizes[:8])}{f" and {len(sizes) - 8} more" if len(sizes) > 8 else ""}')
        if args.out:
            say(f'written: {args.out}. Look at README.md, then upload: python tools/push.py {args.out} {args.target}')
        if args.out or args.dry_run:
            return 0

        from vadlab.apis.publishing.upload import Target, upload

        done = upload(files, Target(address, args.private, args.overwrite), say)
        say(f'pushed: {done}')
        if is_features:
            say(f'get them: python tools/pull.py {address} FOLDER')
        else:
            say(f'test it: python tools/test.py {address}')
    return 0


def _holds_features(source: Path) -> bool:
    if not source.is_dir():
        return False
    from vadlab.apis.publishing.feature_folder import is_feature_folder

    return is_feature_folder(source)


def check(folder: Path) -> list[str]:
    """Read a folder that ``--out`` wrote as others will; return the names of its files."""
    from vadlab.apis.publishing.model_folder import check_model_folder

    return check_model_folder(folder)


def write_features(args: argparse.Namespace, address: Any, scratch: Path) -> tuple[dict[str, Path], str]:
    """Find features and describe them; return their files and the card."""
    from vadlab.apis.publishing.feature_folder import find_features, write_feature_card
    from vadlab.apis.publishing.model_card import CardFacts

    given = [name for name in ('config', 'cfg_options', 'metrics', 'seeds', 'blanked') if getattr(args, name)]
    if given:
        raise ConfigError(f'--{given[0].replace("_", "-")} is an option for models; {args.source} holds features.')
    facts = CardFacts(address.repo_id, args.licence, args.data, args.notes)
    return write_feature_card(find_features(Path(args.source)), scratch, facts, say)


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
