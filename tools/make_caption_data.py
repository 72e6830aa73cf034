"""Draw a small caption set: ``python tools/make_caption_data.py --out data/captions_demo``."""

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vadlab.datasets.synthetic_captions.caption_set import (
    CONCEPT_TEMPLATES,
    CONCEPTS,
    SPLITS,
    Picture,
    plan_caption_set,
)
from vadlab.models.heads.codebook import embed_names, save_codebook
from vadlab.models.tokenizers import WordVocabulary
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.runtime import quiet_third_parties
from vadlab.utils.setup_env import register_all_modules

# Raise it when the same seed gives other pictures than before, so that an old folder is not taken for a new one.
SIMULATOR_VERSION = 1
CLIP = Path(__file__).parents[1] / 'vadlab/datasets/synthetic/weights/clip_synthetic.safetensors'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='Draw pictures of people, vehicles and shapes in ten kinds of places, with five captions each, as '
        "dataset.json in Karpathy's layout, a vocabulary of the training captions, and a codebook of what patches may "
        'be called. Pictures that are there already stay.'
    )
    parser.add_argument('--out', type=Path, default=Path('data/captions_demo'), help='default: %(default)s')
    parser.add_argument('--train', type=int, default=3000, help='training pictures (default: %(default)s)')
    parser.add_argument('--val', type=int, default=240, help='validation pictures (default: %(default)s)')
    parser.add_argument('--test', type=int, default=240, help='test pictures (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='another seed, another data set (default: 0)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: one a core)')
    parser.add_argument('--clip', default=str(CLIP), help='weights whose text tower embeds the codebook')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make what the command line says; the exit status."""
    args = parse_args(argv)
    if args.workers < 1 or args.seed < 0:
        raise ConfigError(f'--workers must be at least 1 and --seed at least 0, not {args.workers} and {args.seed}.')
    quiet_third_parties()
    register_all_modules()
    plan = plan_caption_set(args.train, args.val, args.test, args.seed)
    settings = dict(train=args.train, val=args.val, test=args.test, seed=args.seed, version=SIMULATOR_VERSION)
    check_settings(args.out, settings)
    written = draw(plan, args.out / 'images', args.workers)
    records = [picture.record() for picture in plan]
    content = {'dataset': 'vadlab-captions-demo', 'images': records}
    write_text(args.out / 'dataset.json', json.dumps(content, indent=0) + '\n')
    captions = [s['raw'] for record in records if record['split'] == 'train' for s in record['sentences']]
    # Words that so small a set has but once are words all the same.
    vocabulary = WordVocabulary.build(captions, min_count=1)
    vocabulary.save(args.out / 'vocab.json')
    embeds = embed_names(CONCEPTS, args.clip, CONCEPT_TEMPLATES)
    save_codebook(args.out / 'codebook.safetensors', CONCEPTS, embeds, clip=Path(args.clip).name)
    print(
        f'{args.out}: {len(plan)} pictures ({written} new), 5 captions each, vocabulary of {vocabulary.vocab_size} '
        f'words, codebook of {len(CONCEPTS)} concepts.'
    )
    return 0


def draw(plan: list[Picture], folder: Path, workers: int) -> int:
    """Draw the pictures that are not there; how many were drawn."""
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    missing = [picture for picture in plan if not (folder / picture.split / picture.file_name).exists()]
    if workers == 1 or len(missing) < 32:
        return sum(draw_one(picture, folder) for picture in missing)
    bar = Progress(
        TextColumn('pictures'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    # A forked child of a process in which OpenCV has already used its threads can hang.
    context = multiprocessing.get_context('spawn')
    with bar, ProcessPoolExecutor(workers, mp_context=context) as pool:
        task = bar.add_task('pictures', total=len(missing))
        try:
            for _ in pool.map(partial(draw_one, folder=folder), missing, chunksize=16):
                bar.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(missing)


def draw_one(picture: Picture, folder: Path) -> bool:
    """Draw one picture, in a worker process."""
    cv2.setNumThreads(1)
    return picture.write(folder)


def check_settings(out: Path, settings: dict) -> None:
    """Note how a folder was made, or compare with what was noted.

    Raises:
        ConfigError: The folder holds a data set of other settings.
    """
    note = out / 'settings.json'
    if not note.exists():
        write_text(note, json.dumps(settings) + '\n')
        return
    try:
        there = json.loads(note.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ConfigError(f'{note} is damaged ({error}). Remove {out}, or choose another --out.') from error
    if there != settings:
        raise ConfigError(f'{out} holds another data set ({there}, not {settings}). Remove it, or choose another --out')


def write_text(path: Path, text: str) -> None:
    """Write a file that appears only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    part.write_text(text, encoding='utf-8')
    part.replace(path)


if __name__ == '__main__':
    run_cli(main)
