"""Caption metrics of a whole test set, and rewards of a self-critical step, compared with pycocoevalcap."""

import contextlib
import importlib.util
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from .harness import Entry, Report, compete, limit

REFERENCE = 'pycocoevalcap'
ADJECTIVES = ('red', 'blue', 'young', 'old', 'large', 'small', 'white', 'black', 'wooden', 'tall', 'striped', 'wet')
SUBJECTS = ('man', 'woman', 'boy', 'girl', 'dog', 'cat', 'horse', 'bus', 'train', 'child', 'surfer', 'bird', 'couple')
VERBS = ('riding', 'holding', 'standing', 'sitting', 'walking', 'running', 'eating', 'playing', 'looking', 'jumping')
PLACES = ('on', 'in', 'near', 'next to', 'in front of', 'behind', 'under', 'over', 'beside', 'by')
OBJECTS = ('bench', 'table', 'street', 'field', 'beach', 'wave', 'umbrella', 'ball', 'pizza', 'cake', 'bed', 'sign')

SIZES: dict[str, dict[str, Any]] = {
    'published': dict(
        vision=dict(
            image_size=224, patch_size=16, frozen=True, adapters=dict(first=6, last=11), prompts=dict(num_tokens=100)
        ),
        width=512,
        layers=3,
    ),
    'tiny': dict(vision=dict(image_size=32, patch_size=16, width=16, layers=1, heads=2), width=16, layers=1),
}


def make_captions(images: int, references: int = 5, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """One candidate and references per image, about 11 words each; a third of the words are rare or inflected."""
    draw = random.Random(seed)
    rare = [''.join(draw.choice('bdfgklmnprst') + draw.choice('aeiou') for _ in range(3)) for _ in range(8000)]

    def caption(scene: tuple[str, ...]) -> str:
        words = [word if draw.random() < 0.7 else draw.choice(kind) for word, kind in zip(scene, kinds, strict=True)]
        adjective, subject, verb, place, thing = words
        ending = draw.choice(['.', ' .', '', f' and a {rare[int(draw.random() ** 3 * len(rare))]}.', ", isn't it?"])
        plural = draw.choice(['', '', 's'])
        return f'{draw.choice(["A", "The", "Two"])} {adjective} {subject}{plural} {verb} {place} a {thing}{ending}'

    kinds = (ADJECTIVES, SUBJECTS, VERBS, PLACES, OBJECTS)
    scenes = [tuple(map(draw.choice, kinds)) for _ in range(images)]
    return [caption(s) for s in scenes], [[caption(s) for _ in range(references)] for s in scenes]


class CorpusJob:
    """All metrics of a test set, from text: PTB words, BLEU, METEOR, ROUGE-L, CIDEr-D.

    Args:
        kind: ``reference`` (with its two Java programs, started as in every evaluation) or ``ours``.
        images: Number of images, with 5 references each.
    """

    def __init__(self, kind: str, images: int) -> None:
        self.kind = kind
        self.candidates, self.references = make_captions(images)
        if kind == 'ours':
            import vadlab.evaluation.functional.captions  # noqa: F401

    def run(self) -> dict[str, Any]:
        """Compute the metrics."""
        return self._reference() if self.kind == 'reference' else self._ours()

    def _reference(self) -> dict[str, Any]:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.meteor.meteor import Meteor
        from pycocoevalcap.rouge.rouge import Rouge
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

        words = PTBTokenizer().tokenize
        theirs = words({i: [{'caption': c} for c in captions] for i, captions in enumerate(self.references)})
        mine = words({i: [{'caption': caption}] for i, caption in enumerate(self.candidates)})
        found = {f'bleu{n}': s for n, s in enumerate(Bleu(4).compute_score(theirs, mine, verbose=0)[0], start=1)}
        for name, scorer in (('meteor', Meteor()), ('rouge_l', Rouge()), ('cider_d', Cider())):
            found[name] = scorer.compute_score(theirs, mine)[0]
        return {name: float(score) for name, score in found.items()}

    def _ours(self) -> dict[str, Any]:
        from vadlab.evaluation.functional.captions.caption_scores import caption_scores
        from vadlab.evaluation.functional.captions.meteor import meteor_stages
        from vadlab.evaluation.functional.captions.wordnet import WordNet
        from vadlab.text import ptb

        ptb._scan_chunk.cache_clear()  # a real evaluation is a separate process and starts without them
        wordnet = WordNet.find()
        return {**caption_scores(self.candidates, self.references, wordnet).numbers, 'stages': meteor_stages(wordnet)}


class RewardJob:
    """CIDEr-D of several beams per image of a batch, as self-critical training computes it in every step.

    Document frequencies are those of the batch. The reference counts them every time, ours caches them.

    Args:
        kind: ``reference`` (words as text) or ``ours`` (token ids).
        images: Images of a batch.
        beams: Candidates per image.
    """

    def __init__(self, kind: str, images: int, beams: int = 5) -> None:
        from vadlab.text.document_frequencies import DocumentFrequencies
        from vadlab.text.ptb import ptb_tokenize

        self.kind = kind
        _, references = make_captions(images, 5 + beams)
        words = [[ptb_tokenize(caption) for caption in captions] for captions in references]
        theirs, mine = [captions[beams:] for captions in words], [captions[:beams] for captions in words]
        self.images = [image for image in range(images) for _ in range(beams)]
        self.texts = {k: [' '.join(c) for c in theirs[image]] for k, image in enumerate(self.images)}
        self.candidates = {k: [' '.join(c)] for k, c in enumerate(c for captions in mine for c in captions)}
        numbers: dict[str, int] = {}

        def ids(caption: list[str]) -> list[int]:
            return [numbers.setdefault(word, len(numbers)) for word in caption]

        self.token_references = [[ids(c) for c in captions] for captions in theirs]
        self.tokens = [ids(c) for captions in mine for c in captions]
        # The reference gets each image once per beam.
        self.df = DocumentFrequencies.from_references([self.token_references[image] for image in self.images])

    def run(self) -> dict[str, Any]:
        """The sum of the rewards."""
        if self.kind == 'reference':
            from pycocoevalcap.cider.cider import Cider

            rewards = Cider().compute_score(self.texts, self.candidates)[1]
        else:
            from vadlab.text.cider import CIDErD

            rewards = CIDErD(self.token_references, self.df).score(self.tokens, self.images)
        return dict(reward=float(rewards.sum()))


class SelfCriticalJob:
    """A self-critical step of FSGR with its gradients, on random weights and pictures.

    Args:
        size: A key of :data:`SIZES`.
        images: Images of a batch, 5 beams each.
    """

    def __init__(self, size: str, images: int) -> None:
        import torch

        from vadlab.models.captioners.self_critical import SelfCriticalFSGR
        from vadlab.models.heads.codebook import save_codebook
        from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
        from vadlab.structures import CaptionDataSample

        chosen = SIZES[size]
        vision = chosen['vision']
        _, references = make_captions(images)
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            WordVocabulary.build(chain.from_iterable(references), min_count=1).save(folder / 'vocab.json')
            save_codebook(folder / 'codebook.safetensors', [f'{i}' for i in range(80)], torch.randn(80, 64))
            records = []
            for number, texts in enumerate(references):
                (folder / f'{number}.jpg').touch()
                sentences = [{'raw': text} for text in texts]
                records.append({'filename': f'{number}.jpg', 'split': 'train', 'sentences': sentences})
            (folder / 'captions.json').write_text(json.dumps({'images': records}))
            self.model = SelfCriticalFSGR(
                captions=dict(
                    type='COCOCaptions', ann_file='captions.json', data_root=name, rows='images', check_images=False
                ),
                vision=dict(type='CLIPVisionTransformer', **vision),
                tokenizer=dict(type='WordVocabulary', vocab_file=str(folder / 'vocab.json')),
                codebook=str(folder / 'codebook.safetensors'),
                embed_dim=64,
                width=chosen['width'],
                encoder=dict(layers=chosen['layers']),
                decoder=dict(layers=chosen['layers']),
            ).train()
            self.model.frequencies  # noqa: B018 - counted once, before the first step
        self.inputs = torch.randn(images, 3, vision['image_size'], vision['image_size'])
        self.samples = []
        for texts in references:
            sample = CaptionDataSample()
            sample.gt_captions = texts
            self.samples.append(sample)

    def run(self) -> dict[str, Any]:
        """Run the step; return the share of its CPU time for rewards, tokenization of the references included."""
        spent = [0.0]
        started = time.process_time()
        with _timed(self.model, 'rewards', spent), _timed(self.model, '_references', spent):
            self.model.loss(self.inputs, self.samples)['loss_scst'].backward()
        return dict(share=spent[0] / (time.process_time() - started))


@contextlib.contextmanager
def _timed(owner: Any, name: str, spent: list[float]) -> Iterator[None]:
    """Add the CPU time of a method's calls to ``spent``."""
    method = getattr(owner, name)

    def call(*args: Any) -> Any:
        started = time.process_time()
        try:
            return method(*args)
        finally:
            spent[0] += time.process_time() - started

    setattr(owner, name, call)
    try:
        yield
    finally:
        delattr(owner, name)


def run(runs: int = 5, images: int = 5000, batch: int = 50, size: str = 'published', step_batch: int = 10) -> Report:
    """Measure the caption metrics.

    Args:
        runs: Runs per comparison.
        images: Images of the test set.
        batch: Images whose rewards are compared, 5 beams each.
        size: A key of :data:`SIZES`, for the self-critical step.
        step_batch: Images of that step.
    """
    report = Report()
    there = importlib.util.find_spec('pycocoevalcap') is not None
    cases = (
        (f'all metrics of {images:,} images x 5 references', 'CorpusJob', images, there and shutil.which('java'), 5.0),
        (f'CIDEr-D rewards of {batch} images x 5 beams', 'RewardJob', batch, there, 5.0),
    )
    for case, job, count, comparable, wanted in cases:
        kinds = {REFERENCE: 'reference', 'VADLab': 'ours'} if comparable else {'VADLab': 'ours'}
        first: dict[str, Any] = {}
        entries = [
            Entry(name, f'captions:{job}', dict(kind=kind, images=count), units=count, threads=1)
            for name, kind in kinds.items()
        ]
        reference = REFERENCE if comparable else None
        rows = compete('captions', case, entries, runs, reference, 'images/s', on_first=first.__setitem__)
        report.rows += rows
        if 'VADLab' not in first:
            report.errors.append(f'captions, {case}: {rows[-1].note}')
        elif comparable:
            report.errors += compare(first[REFERENCE], first['VADLab'], case)
        ratio = rows[-1].ratio
        report.targets.append(
            limit(f'captions, {case}: times as fast', wanted, 1 / ratio.median if ratio else None, True)
        )
    wall = report.rows[-1].wall_s
    report.targets.append(limit('captions, rewards of a step: seconds', 0.05, wall.median if wall else None))

    case = f'self-critical step of {step_batch} images x 5 beams, {size}'
    entry = Entry('VADLab', 'captions:SelfCriticalJob', dict(size=size, images=step_batch), units=step_batch, threads=1)
    first = {}
    report.rows += compete('captions', case, [entry], min(runs, 2), None, 'images/s', on_first=first.__setitem__)
    share = first['VADLab']['share'] if 'VADLab' in first else None
    if share is None:
        report.errors.append(f'captions, {case}: {report.rows[-1].note}')
    report.targets.append(limit('captions, rewards: share of a self-critical step', 0.05, share))
    return report


def compare(reference: dict[str, Any], ours: dict[str, Any], case: str) -> list[str]:
    """Differences: METEOR by more than the effect of its paraphrase stage, other metrics by more than 1e-6."""
    wrong = []
    for name, expected in reference.items():
        if not abs(ours[name] - expected) <= (0.03 if name == 'meteor' else 1e-6 * max(1, abs(expected))):
            wrong.append(f'captions, {case}: {name} is {ours[name]}, {REFERENCE} says {expected}')
    return wrong
