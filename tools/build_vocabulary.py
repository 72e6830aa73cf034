"""Build the vocabulary of training captions: ``python tools/build_vocabulary.py FILES --out FILE``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.formats.caption_files import read_caption_files
from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.cli import run_cli
from vadlab.utils.option_checks import require_at_least, require_file
from vadlab.utils.printable import say
from vadlab.utils.runtime import quiet_third_parties


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the vocabulary of a captioner: the frequent words of the training captions (--min-count), '
        'most frequent first, after <pad> <unk> <bos> <eos>.'
    )
    parser.add_argument('files', nargs='+', help="Karpathy's JSON, or COCO's caption files")
    parser.add_argument('--out', type=Path, required=True, help='the JSON file to write')
    parser.add_argument(
        '--splits', nargs='+', metavar='NAME', help="for Karpathy's layout: splits to use, e.g. train restval"
    )
    parser.add_argument(
        '--ids', nargs='+', default=[], metavar='NPY', help="for COCO's layout: .npy files of annotation ids"
    )
    parser.add_argument(
        '--min-count', type=int, default=5, help='rarer words are replaced by <unk> (default: %(default)s)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_at_least(1, args, 'min_count')
    require_file(args.out, '--out')
    quiet_third_parties()
    problems = ProblemList('build_vocabulary')
    images = read_caption_files(args.files, args.splits, args.ids, problems)
    problems.raise_if_any(', '.join(args.files), 'Mend the files')
    captions = [caption for image in images for caption in image.captions]

    from vadlab.models.tokenizers.word_vocabulary import WordVocabulary

    vocabulary = WordVocabulary.build(captions, args.min_count)
    vocabulary.save(args.out)
    say(f'{args.out}: {vocabulary.vocab_size} words of {len(captions)} captions of {len(images)} images.')
    return 0


if __name__ == '__main__':
    run_cli(main)
