"""Download features or a model of the hub to a folder: ``python tools/pull.py hf://datasets/USER/NAME FOLDER``."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.hub_address import parse_address
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(
        description='Download what vadlab push published. Each file is compared with its checksum; files that are '
        'there and whole are kept, so the same command continues after an interruption.'
    )
    parser.add_argument('address', help='hf://datasets/USER/NAME for features, hf://USER/NAME for a model; @REVISION')
    parser.add_argument('folder', type=Path, help='where to; made if it does not exist')
    args = parser.parse_args(argv)
    address = parse_address(args.address)
    if address.file or address.sha256:
        raise ConfigError(f'{args.address}: name a repository, not a file.')
    if args.folder.exists() and not args.folder.is_dir():
        raise ConfigError(f'{args.folder} is a file. Name a folder.')

    from vadlab.apis.publishing.pull import pull

    with ProgressBar('files', line_every_s=30) as bar:
        new, kept = pull(replace(address), args.folder, bar)
    say(f'{args.folder}: {new} files downloaded, {kept} were there')
    return 0


if __name__ == '__main__':
    run_cli(main)
