"""Caption metrics of a whole test set, and rewards of a self-critical step, against pycocoevalcap."""

import importlib.util
import random
import shutil
from typing import Any

from .harness import Entry, Report, compete, limit

REFERENCE = 'pycocoevalcap'
ADJECTIVES = ('red', 'blue', 'young', 'old', 'large', 'small', 'white', 'black', 'wooden', 'tall', 'striped', 'wet')
SUBJECTS = ('man', 'woman', 'boy', 'girl', 'dog', 'cat', 'horse', 'bus', 'train', 'child', 'surfer', 'bird', 'couple')
VERBS = ('riding', 'holding', 'standing', 'sitting', 'walking', 'running', 'eating', 'playing', 'looking', 'jumping')
PLACES = ('on', 'in', 'near', 'next to', 'in front of', 'behind', 'under', 'over', 'beside', 'by')
OBJECTS = ('bench', 'table', 'street', 'field', 'beach', 'wave', 'umbrella', 'ball', 'pizza', 'cake', 'bed', 'sign')


def make_captions(images: int, references: int = 5, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """A candidate and references for each image: about 11 words each, a third of them rare or in other forms."""
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
        kind: ``reference`` (with its two Java programs, started anew as in every evaluation) or ``ours``.
        images: Number of images, with 5 references each.
    """

    def __init__(self, kind: str, images: int) -> None:
        self.kind = kind
        self.candidates, self.references = make_captions(images)
        if kind == 'ours':
            import vadlab.evaluation.functional.captions  # noqa: F401

    def run(self) -> dict[str, Any]:
        """The numbers."""
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
        from vadlab.evaluation.functional.captions import WordNet, caption_scores, meteor_stages, ptb

        ptb._scan_chunk.cache_clear()  # an evaluation is a process of its own, and starts without
        wordnet = WordNet.find()
        return {**caption_scores(self.candidates, self.references, wordnet).numbers, 'stages': meteor_stages(wordnet)}


class RewardJob:
    """CIDEr-D of several beams for each image of a batch, as self-critical training wants it once a step.

    Document frequencies are the batch's own: counted anew by the reference, which keeps none, and cached in ours.

    Args:
        kind: ``reference`` (words in text) or ``ours`` (token ids).
        images: Images of a batch.
        beams: Candidates of each.
    """

    def __init__(self, kind: str, images: int, beams: int = 5) -> None:
        from vadlab.evaluation.functional.captions import DocumentFrequencies, ptb_tokenize

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
        # The reference sees each image once for each beam.
        self.df = DocumentFrequencies.from_references([self.token_references[image] for image in self.images])

    def run(self) -> dict[str, Any]:
        """The sum of the rewards."""
        if self.kind == 'reference':
            from pycocoevalcap.cider.cider import Cider

            rewards = Cider().compute_score(self.texts, self.candidates)[1]
        else:
            from vadlab.evaluation.functional.captions import CIDErD

            rewards = CIDErD(self.token_references, self.df).score(self.tokens, self.images)
        return dict(reward=float(rewards.sum()))


def run(runs: int = 5, images: int = 5000, batch: int = 50) -> Report:
    """Measure the caption metrics.

    Args:
        runs: Turns.
        images: Images of the test set.
        batch: Images of a self-critical step, 5 beams each.
    """
    report = Report()
    there = importlib.util.find_spec('pycocoevalcap') is not None
    cases = (
        (f'all metrics of {images:,} images x 5 references', 'CorpusJob', images, there and shutil.which('java'), 5.0),
        (f'CIDEr-D rewards of {batch} images x 5 beams', 'RewardJob', batch, there, 5.0),
    )
    for case, job, size, comparable, wanted in cases:
        kinds = {REFERENCE: 'reference', 'VADLab': 'ours'} if comparable else {'VADLab': 'ours'}
        first: dict[str, Any] = {}
        entries = [
            Entry(name, f'captions:{job}', dict(kind=kind, images=size), units=size, threads=1)
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
    return report


def compare(reference: dict[str, Any], ours: dict[str, Any], case: str) -> list[str]:
    """Where the numbers differ: METEOR by more than its paraphrase stage can make, others by more than 1e-6."""
    wrong = []
    for name, expected in reference.items():
        if not abs(ours[name] - expected) <= (0.03 if name == 'meteor' else 1e-6 * max(1, abs(expected))):
            wrong.append(f'captions, {case}: {name} is {ours[name]}, {REFERENCE} says {expected}')
    return wrong
