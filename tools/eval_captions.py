"""Evaluate captions that were made elsewhere.

Usage::

    python tools/eval_captions.py REFERENCES.json CANDIDATES.json --out metrics.json
"""

import argparse
from collections.abc import Sequence
from typing import Any

from vadlab.datasets.formats.caption_files import read_caption_files
from vadlab.datasets.problem_list import ProblemList
from vadlab.evaluation.functional.captions.caption_scores import caption_scores
from vadlab.evaluation.functional.captions.wordnet import NO_WORDNET, WordNet
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, write_json
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say
from vadlab.utils.runtime import format_table, format_value, versions

_FORMATS = '{"ID": ...}, or a list of {"image_id": ..., "caption": ...}'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Evaluate captions with references: BLEU, METEOR, ROUGE-L, CIDEr.')
    parser.add_argument('references', help='{"ID": ["caption", ...]}, COCO annotations, or dataset_coco.json')
    parser.add_argument('candidates', help='{"ID": "caption"}, or a COCO result file')
    parser.add_argument('--split', default='test', help="split of Karpathy's file (default: %(default)s)")
    parser.add_argument('--out', metavar='metrics.json', help='write the metrics to this JSON file')
    parser.add_argument('--wordnet', metavar='PATH', help="folder or .zip of WordNet (default: NLTK's data folders)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    require_file(args.out, '--out', '.json')
    references = read_captions(args.references, args.split)
    candidates = read_candidates(args.candidates)
    for which, missing in (
        (f'{args.candidates} does not have', [name for name in references if name not in candidates]),
        (f'{args.references} does not have', [name for name in candidates if name not in references]),
    ):
        if missing:
            raise DataError(
                f'{which} {len(missing)} ids of the other file (first: {missing[0]!r}); both files need the same ids'
            )
    for name, captions in references.items():
        if not any(ptb_tokenize(caption) for caption in captions):
            raise DataError(f'{args.references}: no caption of {name!r} has a word in it: {captions[0]!r}')
    empty = [name for name in references if not ptb_tokenize(candidates[name])]
    if empty:
        say(f'{len(empty)} of {len(references)} captions have no word in them and score 0 (first: {empty[0]!r})\n')
    wordnet = WordNet(args.wordnet) if args.wordnet else WordNet.find()
    numbers, protocol = caption_scores([candidates[name] for name in references], list(references.values()), wordnet)
    metrics = {f'caption/{name}': value for name, value in numbers.items()}
    protocols = {f'caption/{name}': text for name, text in protocol.items()}
    rows = [(key, format_value(value), protocols[key]) for key, value in metrics.items()]
    say(format_table(rows, ('metric', 'value', 'protocol')))
    if wordnet is None:
        say(f'\n{NO_WORDNET}')
    if args.out:
        report = {'metrics': metrics, 'protocol': protocols, 'num_images': len(references), 'num_empty': len(empty)}
        report |= {'references': args.references, 'candidates': args.candidates, 'versions': versions()}
        write_json(args.out, report)
        say(f'\nmetrics: {args.out}')
    return 0


def read_captions(path: str, split: str = 'test') -> dict[str, list[str]]:
    """Captions of each id, at least one.

    Args:
        path (str): ``{"ID": ["caption", ...]}``, COCO's annotations or results, or Karpathy's file.
        split (str): Split of Karpathy's file.

    Raises:
        MissingFileError: There is no such file.
        DataError: The file is not such a JSON, lists an id twice, or has a caption that is not text.
    """
    content = read_json(path, unique_keys=True)
    if isinstance(content, dict) and isinstance(content.get('annotations'), list):
        content = content['annotations']
    elif isinstance(content, dict) and _is_karpathy(content.get('images')):
        return _of_split(path, split)
    found: dict[str, list[Any]] = {}
    if isinstance(content, dict):
        found = {name: captions if isinstance(captions, list) else [captions] for name, captions in content.items()}
    elif isinstance(content, list):
        for number, entry in enumerate(content):
            if not isinstance(entry, dict) or not {'image_id', 'caption'} <= entry.keys():
                raise DataError(
                    f'{path}: entry {number} has no image_id and caption: {str(entry)[:80]}; expected {_FORMATS}'
                )
            found.setdefault(str(entry['image_id']), []).append(entry['caption'])
    if not found:
        raise DataError(f'{path} contains no captions; expected {_FORMATS}')
    for name, captions in found.items():
        if not captions:
            raise DataError(f'{path}: {name!r} has an empty list of captions; give at least one')
        for caption in captions:
            if not isinstance(caption, str):
                raise DataError(f'{path}: a caption of {name!r} is {str(caption)[:80]}, no text')
    return found


def _is_karpathy(images: Any) -> bool:
    return isinstance(images, list) and bool(images) and isinstance(images[0], dict) and 'sentences' in images[0]


def _of_split(path: str, split: str) -> dict[str, list[str]]:
    problems = ProblemList('References')
    images = read_caption_files([path], [split], problems=problems)
    problems.raise_if_any(path, 'Each image needs an id and a caption')
    return {str(image.image_id): image.captions for image in images}


def read_candidates(path: str) -> dict[str, str]:
    """The caption of each id, which may be empty.

    Raises:
        MissingFileError, DataError: See :func:`read_captions`; or an id has more than one caption.
    """
    found = read_captions(path)
    many = [name for name, captions in found.items() if len(captions) > 1]
    if many:
        raise DataError(f'{path} has more than one caption for {many[0]!r}; a candidate is one caption per id')
    return {name: captions[0] for name, captions in found.items()}


if __name__ == '__main__':
    run_cli(main)
