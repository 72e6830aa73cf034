"""Embed concepts: ``python tools/build_codebook.py configs/concepts/coco.txt --clip WEIGHTS --out FILE``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vadlab.utils.cli import run_cli
from vadlab.utils.option_checks import require_file
from vadlab.utils.own_files import own_file
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_clip_weights, require_paths
from vadlab.utils.runtime import quiet_third_parties


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Embed a list of concepts with the text tower of a CLIP. The file contains names and embeddings, '
        'so a model needs only this file, and no number of concepts.'
    )
    parser.add_argument('names', type=Path, help='text file with one concept per line, or a JSON list')
    parser.add_argument('--clip', required=True, help='weights: a file, a folder or a Hugging Face id')
    parser.add_argument('--out', type=Path, required=True, help='a .safetensors file')
    parser.add_argument('--templates', nargs='+', metavar='TEXT', help='prompt templates with one {} for the name')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    args.names, args.clip = Path(own_file(str(args.names))), own_file(args.clip)
    require_paths([args.names], 'file of names', '; wanted a text file with a concept in each line')
    require_clip_weights(args.clip)
    require_file(args.out, '--out', '.safetensors')

    from vadlab.models.heads.codebook import TEMPLATES, embed_names, read_names, save_codebook
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    names = read_names(args.names)
    templates = args.templates or list(TEMPLATES)
    embeds = embed_names(names, args.clip, templates)
    save_codebook(args.out, names, embeds, clip=Path(args.clip).name, templates=json.dumps(templates))
    say(f'{args.out}: {len(names)} concepts of {embeds.shape[1]} dimensions.')
    return 0


if __name__ == '__main__':
    run_cli(main)
