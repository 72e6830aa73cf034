"""METEOR for captions."""

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from vadlab.text.corpus import check_corpus
from vadlab.utils.errors import MissingDependencyError

from .wordnet import WordNet

# Parameters for English, tuned to rank systems; weights of the stages exact, stem, synonym.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
STAGE_WEIGHTS = (1.0, 0.6, 0.8)
BEAM = 40

# Function words (Denkowski and Lavie 2014): words with a frequency of about one in a thousand or more in English text.
# They have little meaning, and count 1 - DELTA. The list is a parameter of METEOR 1.5 like ALPHA to DELTA, estimated on
# its authors' corpus, as "said" and "-lrb-" show. scikit-learn's stop words share 67 of these 93; with them, captions
# of pictures score 0.0015 more, which is not comparable with published numbers.
_FUNCTION_WORDS = """
, . : " ' ( ) ? $ - -- -lrb- -rrb- 's 't s “ ” ’ —
the a an this that all no some other more one two
i he his she her it its they their we you who which what
of to in for on with as at by from about after into out up over than when if so
and or but not also there
is was be are were been has have had can would will could said
new last first time year years people
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


class _Statistics(NamedTuple):
    """Counts from which METEOR is computed; those of a corpus are sums over its captions."""

    matched_weight: float = 0.0
    matched_weight_reference: float = 0.0
    weight: float = 0.0
    weight_reference: float = 0.0
    matches: int = 0
    chunks: int = 0


def meteor(
    candidates: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    wordnet: WordNet | None = None,
) -> tuple[float, np.ndarray]:
    """METEOR 1.5 of a corpus and of each image.

    Denkowski and Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target Language" (WMT
    2014): each candidate is aligned to each reference. ``Fmean`` combines precision and recall of words, weighted by
    stage, with lower weights for function words; a penalty grows with the number of chunks of the alignment. The
    reference with the best score counts. The score of the corpus is computed from summed statistics and is not a mean.

    Equals the authors' program with the same stages, to 1e-9, except for captions that repeat a word many times, where
    its beam may miss the best alignment. By default that program also has a paraphrase stage, with a table of 60 MB
    that is not included here; on descriptions of scenes it adds about 0.003. As in the program, and unlike in the
    paper, an ambiguous stem or synonym match counts only if it adds no chunk, and words are split further (``t-shirt``
    is two words).

    Args:
        candidates (Sequence[Sequence[str]]): Words of one caption per image, in lower case.
        references (Sequence[Sequence[Sequence[str]]]): Words of each image's references, at least one.
        wordnet (WordNet | None): For the synonym stage; without it the stages are exact and stem.

    Returns:
        tuple[float, np.ndarray]: Score of the corpus, and scores of the images: 0..1, float64, shape (images,).

    Raises:
        DataError: See :func:`check_corpus`.
        MissingDependencyError: snowballstemmer is not installed.
    """
    check_corpus(candidates, references)
    candidates = [_split(words) for words in candidates]
    references = [[_split(words) for words in captions] for captions in references]
    partners = _partners({*chain.from_iterable(candidates), *chain(*chain.from_iterable(references))}, wordnet)
    scores = np.zeros(len(candidates))
    best = []
    for image, (candidate, captions) in enumerate(zip(candidates, references, strict=True)):
        places = _positions(candidate, partners, set(chain.from_iterable(captions)))
        found = [_compare(candidate, caption, places) for caption in captions]
        image_scores = [_score(statistics) for statistics in found]
        scores[image] = max(image_scores)
        best.append(found[image_scores.index(scores[image])])
    return _score(_Statistics(*map(sum, zip(*best, strict=True)))), scores


def meteor_stages(wordnet: WordNet | None) -> str:
    """Names of the stages that run."""
    return 'exact, stem and synonym' if wordnet else 'exact and stem'


def _score(found: _Statistics) -> float:
    if not found.matched_weight or not found.matched_weight_reference:
        return 0.0
    precision = found.matched_weight / found.weight
    recall = found.matched_weight_reference / found.weight_reference
    mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
    return mean * (1 - GAMMA * (found.chunks / found.matches) ** BETA)


def _compare(
    candidate: Sequence[str], reference: Sequence[str], places: dict[str, list[tuple[int, int, int]]]
) -> _Statistics:
    matches, chunks = _align(candidate, reference, places)
    whole = chunks == 1 and len(matches) == len(candidate) == len(reference)
    weights = [(_weight(candidate[i]), _weight(reference[j]), STAGE_WEIGHTS[stage]) for i, j, stage in matches]
    return _Statistics(
        sum(mine * stage for mine, _, stage in weights),
        sum(theirs * stage for _, theirs, stage in weights),
        sum(map(_weight, candidate)),
        sum(map(_weight, reference)),
        len(matches),
        0 if whole else chunks,  # a full match has no chunk penalty
    )


def _weight(word: str) -> float:
    return 1 - DELTA if word in FUNCTION_WORDS else DELTA


def _align(
    candidate: Sequence[str], reference: Sequence[str], places: dict[str, list[tuple[int, int, int]]]
) -> tuple[list[tuple[int, int, int]], int]:
    """The best alignment: most exact matches, then fewest chunks, then least distance between matched positions.

    Processes the reference from left to right. Partial alignments that used the same words of the candidate and end at
    the same word have the same continuations, so only the best of them is kept.

    Returns:
        tuple: Matches (position in the candidate, position in the reference, stage), and the number of chunks.
    """
    options = [places.get(word, ()) for word in reference]
    rivals = [0] * len(candidate)  # number of possible matches of each word of the candidate
    for choices in options:
        for i, _, ways in choices:
            rivals[i] += ways
    # (used words as bits, word that would continue the last chunk) -> (cost, matches as a linked list)
    states: dict[tuple[int, int], tuple[tuple[int, int, int], tuple]] = {(0, -1): ((0, 0, 0), ())}
    for j, choices in enumerate(options):
        following: dict[tuple[int, int], tuple[tuple[int, int, int], tuple]] = {}
        certain = len(choices) == 1 and choices[0][2] == 1 and rivals[choices[0][0]] == 1
        if len(states) > BEAM:
            states = dict(nsmallest(BEAM, states.items(), key=lambda state: state[1][0]))
        for (used, at), ((exact, chunks, distance), matches) in states.items():
            for i, stage, ways in choices:
                if used >> i & 1:
                    continue
                cost = (exact - (not stage), chunks + (i != at), distance + certain * abs(i - j))
                key = (used | 1 << i, i + 1)
                if key not in following or cost < following[key][0]:
                    following[key] = (cost, (matches, (i, j, stage)))
                # As in the authors' program, skipped words add their distance to the cost, chosen ones do not.
                distance += ways * abs(i - j)
            cost = (exact, chunks, distance)
            if not certain and ((used, -1) not in following or cost < following[used, -1][0]):
                following[used, -1] = (cost, matches)
        states = following
    cost, linked = min(states.values(), key=lambda state: state[0])
    chosen = []
    while linked:
        linked, match = linked
        chosen.append(match)
    return chosen, cost[1]


def _positions(
    candidate: Sequence[str], partners: dict[str, dict[str, tuple[int, int]]], wanted: set[str]
) -> dict[str, list[tuple[int, int, int]]]:
    """For words of the references: matching positions in the candidate, the stage, and the number of ways."""
    places: dict[str, list[tuple[int, int, int]]] = {}
    for i, word in enumerate(candidate):
        if word in wanted:
            places.setdefault(word, []).append((i, 0, 1))
        for other in partners[word].keys() & wanted:
            places.setdefault(other, []).append((i, *partners[word][other]))
    return {word: sorted(found, key=itemgetter(1, 0)) for word, found in places.items()}


def _partners(words: Iterable[str], wordnet: WordNet | None) -> dict[str, dict[str, tuple[int, int]]]:
    """Matching words of each word, with the first stage that matches them and the number of such stages."""
    stages = [{word: frozenset([_stemmer()(word)]) for word in words}]
    if wordnet:
        stages.append({word: wordnet.synsets(word) for word in words})
    partners: dict[str, dict[str, tuple[int, int]]] = {word: {} for word in words}
    for stage, classes_of in enumerate(stages, start=1):
        members: dict[str, list[str]] = {}
        for word, classes in classes_of.items():
            for name in classes:
                members.setdefault(name, []).append(word)
        for word, classes in classes_of.items():
            known = partners[word]
            for other in {member for name in classes for member in members[name]} - {word}:
                first, ways = known.get(other, (stage, 0))
                known[other] = (first, ways + 1)
    return partners


@cache
def _stemmer():
    try:
        import snowballstemmer
    except ImportError as error:
        raise MissingDependencyError('METEOR needs a stemmer: pip install snowballstemmer') from error
    return snowballstemmer.stemmer('english').stemWord


_ALPHA = 'A-Za-zÀ-ÖØ-öø-žŸѐ-ԧЀ-я'
_ALNUM = f'0-9{_ALPHA}'


def _split(words: Sequence[str]) -> list[str]:
    return [part for word in words for part in ((word,) if word.isalpha() and word.isascii() else _parts(word))]


@lru_cache(maxsize=1 << 16)
def _parts(word: str) -> tuple[str, ...]:
    """Parts of a token, split as in METEOR: at hyphens, apostrophes and other characters except letters and digits."""
    if re.fullmatch(rf'(?:[{_ALPHA}]\.)+[{_ALPHA}]?\.?', word) and word.count('.') > 1:
        return (word.replace('.', ''),)
    word = re.sub(rf"([^{_ALNUM}.',-])", r' \1 ', re.sub('[‘’`]', "'", word))
    word = re.sub(rf'(?<=[{_ALNUM}.])-(?=[{_ALNUM}])', ' ', word)
    word = re.sub(rf"(?<![{_ALNUM}])'(?=[{_ALPHA}])|(?<=[{_ALPHA}])'(?![{_ALPHA}])", " ' ", word)
    word = re.sub(rf"(?<=[{_ALPHA}])'(?=[{_ALPHA}])", " '", word)
    return tuple(word.split())
