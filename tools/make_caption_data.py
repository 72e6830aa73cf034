"""Render a small caption data set: ``python tools/make_caption_data.py --out data/captions_demo``."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.own_files import PACKAGE
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_clip_weights
from vadlab.utils.runtime import quiet_third_parties

# Raise it when the same seed gives other pictures than before, so that old folders are recognised.
SIMULATOR_VERSION = 1
CLIP = PACKAGE / 'simulators' / 'surveillance' / 'weights' / 'clip_synthetic.safetensors'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Draw pictures of people, vehicles and shapes in ten kinds of places, with five captions each, as '
        "dataset.json in Karpathy's layout, a vocabulary of the training captions, and a codebook of what patches may "
        'be called. Existing pictures are kept.'
    )
    parser.add_argument('--out', type=Path, default=Path('data/captions_demo'), help='default: %(default)s')
    parser.add_argument('--train', type=int, default=6000, help='training pictures (default: %(default)s)')
    parser.add_argument('--val', type=int, default=240, help='validation pictures (default: %(default)s)')
    parser.add_argument('--test', type=int, default=240, help='test pictures (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the data set (default: 0)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: one per core)')
    parser.add_argument('--clip', default=str(CLIP), help='CLIP weights whose text tower embeds the codebook')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if args.workers < 1 or args.seed < 0:
        raise ConfigError(f'--workers must be at least 1 and --seed at least 0, not {args.workers} and {args.seed}.')
    require_clip_weights(args.clip)

    from vadlab.models.heads.codebook import embed_names, save_codebook
    from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
    from vadlab.simulators.captions.caption_set import CONCEPT_TEMPLATES, CONCEPTS, plan_caption_set
    from vadlab.simulators.common.made_folder import check_settings, write_missing
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    plan = plan_caption_set(args.train, args.val, args.test, args.seed)
    settings = dict(train=args.train, val=args.val, test=args.test, seed=args.seed, version=SIMULATOR_VERSION)
    check_settings(args.out, settings)
    written = write_missing(plan, args.out / 'images', lambda p: f'{p.split}/{p.file_name}', args.workers, 'pictures')
    records = [picture.record() for picture in plan]
    content = {'dataset': 'vadlab-captions-demo', 'images': records}
    write_text(args.out / 'dataset.json', json.dumps(content, indent=0) + '\n')
    captions = [s['raw'] for record in records if record['split'] == 'train' for s in record['sentences']]
    # The set is small, so words that occur once are in the vocabulary, too.
    vocabulary = WordVocabulary.build(captions, min_count=1)
    vocabulary.save(args.out / 'vocab.json')
    embeds = embed_names(CONCEPTS, args.clip, CONCEPT_TEMPLATES)
    save_codebook(args.out / 'codebook.safetensors', CONCEPTS, embeds, clip=Path(args.clip).name)
    say(
        f'{args.out}: {len(plan)} pictures ({written} new), 5 captions each, vocabulary of {vocabulary.vocab_size} '
        f'words, codebook of {len(CONCEPTS)} concepts.'
    )
    return 0


if __name__ == '__main__':
    run_cli(main)
