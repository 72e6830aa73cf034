"""All caption metrics at once, with their protocols."""

from collections.abc import Sequence
from typing import NamedTuple

from vadlab.text.cider import cider, cider_d
from vadlab.text.document_frequencies import DocumentFrequencies
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.errors import DataError

from .bleu import bleu
from .meteor import meteor, meteor_stages
from .rouge import rouge_l
from .wordnet import WordNet

NAMES = ('bleu1', 'bleu2', 'bleu3', 'bleu4', 'meteor', 'rouge_l', 'cider', 'cider_d')


class CaptionScores(NamedTuple):
    """Scores of a corpus by name in :data:`NAMES` (0..1, CIDEr 0..10), and their protocols."""

    numbers: dict[str, float]
    protocol: dict[str, str]


def caption_scores(
    candidates: Sequence[str], references: Sequence[Sequence[str]], wordnet: WordNet | None = None
) -> CaptionScores:
    """All caption metrics of a corpus, computed from text.

    Args:
        candidates (Sequence[str]): One caption per image. A caption without a word scores 0.
        references (Sequence[Sequence[str]]): Each image's references, at least one.
        wordnet (WordNet | None): For METEOR's synonym stage.

    Raises:
        DataError: There is no image, the numbers differ, or an image has no reference with a word in it.
    """
    mine = [ptb_tokenize(caption) for caption in candidates]
    theirs = [[ptb_tokenize(caption) for caption in captions] for captions in references]
    for number, captions in enumerate(theirs):
        if not any(captions):
            raise DataError(f'Image {number} has no reference with a word in it: {list(references[number])!r}')
    df = DocumentFrequencies.from_references(theirs)
    numbers = {f'bleu{n}': float(score) for n, score in enumerate(bleu(mine, theirs), start=1)}
    numbers['meteor'] = meteor(mine, theirs, wordnet)[0]
    numbers['rouge_l'] = float(rouge_l(mine, theirs).mean())
    numbers['cider'] = float(cider(mine, theirs, df).mean())
    numbers['cider_d'] = float(cider_d(mine, theirs, df).mean())
    return CaptionScores(numbers, caption_protocol([len(captions) for captions in references], wordnet))


def caption_protocol(num_references: Sequence[int], wordnet: WordNet | None) -> dict[str, str]:
    """Protocol of each score: the rule, the words, the end token, the references."""
    rules = {
        **{f'bleu{n}': f'BLEU-{n} of the corpus, closest reference length' for n in range(1, 5)},
        'meteor': f'METEOR 1.5 of the corpus, stages {meteor_stages(wordnet)}',
        'rouge_l': 'mean ROUGE-L, beta 1.2',
        'cider': 'mean CIDEr (original), n = 1..4, x 10, document frequencies from the references',
        'cider_d': 'mean CIDEr-D, n = 1..4, sigma 6, x 10, document frequencies from the references',
    }
    counts = sorted(set(num_references))
    many = f'{counts[0]}' if len(counts) == 1 else f'{counts[0]} to {counts[-1]}' if counts else 'any number of'
    signature = f'PTB words in lower case without punctuation, no end token, {many} references per image'
    return {name: f'{rule}; {signature}' for name, rule in rules.items()}
