import itertools
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vadlab.evaluation.functional.captions.meteor import meteor, meteor_stages
from vadlab.evaluation.functional.captions.wordnet import WordNet
from vadlab.utils.errors import DataError, MissingDependencyError, MissingFileError

from .random_captions import random_corpus

module = sys.modules['vadlab.evaluation.functional.captions.meteor']

# Candidate, reference, and what METEOR 1.5 says with the stages exact and stem.
AUTHORS = [
    ('a man rides a horse', 'a man rides a horse', 1.0),
    ('a man rides a horse', 'a man is riding a brown horse', 0.3118793712145199),
    ('two dogs run on the beach', 'a dog runs on a beach', 0.30252411928080614),
    ('x dogs y', 'a dog y', 0.3140841613297483),
    ('the the the the', 'the cat', 0.1),
    ("a t-shirt and the man 's hat", "a shirt and a man 's red hat", 0.3544658180510439),
    ('horse a rides man a', 'a man rides a horse', 0.4),
    ('a guy on a bike', 'a man on a bicycle', 0.14891175103698776),
    ('dogs', 'dog', 0.6),
    ('red car', 'blue bus', 0.0),
    ('一 个 人', '一 个 狗', 0.3184464413482169),
    ('u.s. flag', 'us flags', 0.8),
    (
        'a cat sits on the mat and a cat sleeps on the mat',
        'the cat sleeps on a mat while a cat sits on the mat',
        0.4461779806820381,
    ),
]
AUTHORS_CORPUS = 0.34403461818831876


def _score(candidate, *references, wordnet=None):
    return meteor([candidate.split()], [[reference.split() for reference in references]], wordnet)[1][0]


def test_equals_the_authors_program_on_examples():
    corpus, scores = meteor([c.split() for c, _, _ in AUTHORS], [[r.split()] for _, r, _ in AUTHORS])
    assert scores == pytest.approx(np.array([score for *_, score in AUTHORS]))
    assert corpus == pytest.approx(AUTHORS_CORPUS)


def test_by_hand():
    # Matches: 'a' (function word, weight 0.25), 'red' and, by stem, 'runs' (0.75 each, the latter times 0.6).
    precision = (0.25 + 0.75 + 0.75 * 0.6) / (0.25 + 3 * 0.75)
    recall = (0.25 + 0.75 + 0.75 * 0.6) / (0.25 + 2 * 0.75)
    mean = precision * recall / (0.85 * precision + 0.15 * recall)
    assert _score('a red dog runs', 'a red running') == pytest.approx(mean * (1 - 0.6 * (2 / 3) ** 0.2))


def test_the_best_reference_counts_and_the_corpus_is_no_mean():
    assert _score('a dog', 'a cat', 'a dog', 'two cats') == 1
    corpus, scores = meteor([['a', 'dog'], ['x']], [[['a', 'dog']], [['y', 'z']]])
    assert scores.tolist() == [1, 0]
    assert corpus != pytest.approx(0.5)


@pytest.mark.parametrize(('candidate', 'reference'), [('', 'a dog'), ('a dog', ''), ('dog', 'cat'), ('', '')])
def test_nothing_in_common_is_0(candidate, reference):
    assert _score(candidate, reference) == 0


def _brute_force(candidate, reference):
    """Most exact matches, then fewest chunks, among all ways to give words of the reference a place or none."""
    best = (0, 0)
    options = [[None, *(i for i, word in enumerate(candidate) if word == wanted)] for wanted in reference]
    for places in itertools.product(*options):
        used = [place for place in places if place is not None]
        if len(set(used)) == len(used):
            starts = [p for j, p in enumerate(places) if p is not None and not (j and places[j - 1] == p - 1 and p)]
            best = min(best, (-len(used), len(starts)))
    return -best[0], best[1]


def test_alignments_equal_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(150):
        candidate, reference = (rng.choice(list('abcd'), size=rng.integers(1, 7)).tolist() for _ in range(2))
        places = module._positions(candidate, {word: {} for word in 'abcd'}, set(reference))
        matches, chunks = module._align(candidate, reference, places)
        assert (len(matches), chunks) == _brute_force(candidate, reference)
        assert all(candidate[i] == reference[j] for i, j, _ in matches)


def test_hundreds_of_equal_words_take_no_longer_than_their_number():
    assert 0 < _score('a ' * 100, 'a b ' * 50) < 1


INDEX = {
    'noun': {'man': ['01'], 'guy': ['01', '02'], 'dog': ['03'], 'calf': ['04']},
    'verb': {'ride': ['05', '06'], 'sit': ['07'], 'hop': ['05']},
    'adj': {'big': ['08'], 'large': ['08']},
    'adv': {},
}
EXCEPTIONS = {'noun': 'calves calf\nmen man\n', 'verb': 'sat sit\nrode ride\n', 'adj': '', 'adv': ''}


@pytest.fixture
def wordnet(tmp_path):
    folder = tmp_path / 'corpora' / 'wordnet'
    folder.mkdir(parents=True)
    for part, entries in INDEX.items():
        lines = [f'{w} {part[0]} {len(ids)} 1 @ {len(ids)} 0 {" ".join(ids)}  ' for w, ids in entries.items()]
        (folder / f'index.{part}').write_text('\n'.join(['  1 This is a licence', *lines]) + '\n')
        (folder / f'{part}.exc').write_text(EXCEPTIONS[part])
    return folder


def test_synonyms_and_forms_of_words(wordnet):
    net = WordNet(wordnet)
    assert net.synsets('man') & net.synsets('guy') == {'noun01'}
    assert net.synsets('men') == net.synsets('man')
    assert net.synsets('guys') == {'noun01', 'noun02'}
    assert net.synsets('calves') == {'noun04'}
    assert net.synsets('riding') == net.synsets('rode') == {'verb05', 'verb06'}
    assert net.synsets('bigger') == frozenset()  # detached: bigg, bigge
    assert net.synsets('larger') == {'adj08'}
    assert net.synsets('glass') == net.synsets('is') == frozenset()


def test_the_synonym_stage_has_its_own_weight(wordnet):
    net = WordNet(wordnet)
    assert _score('large', 'big', wordnet=net) == pytest.approx(0.8)
    assert _score('large', 'big') == 0
    # 'sits' and 'sat' have no stem in common, but a synonym set.
    assert _score('sits', 'sat', wordnet=net) == pytest.approx(0.8)
    assert meteor_stages(net) == 'exact, stem and synonym'
    assert meteor_stages(None) == 'exact and stem'


def test_a_match_in_two_stages_counts_only_where_it_costs_no_chunk(wordnet):
    net = WordNet(wordnet)
    # Stem and synonym both match dogs and dog: that makes them rivals, as in the authors' program.
    assert _score('dogs', 'dog', wordnet=net) == 0
    assert _score('red dogs', 'red dog', wordnet=net) == pytest.approx(_score('red dogs', 'red dog'))


def test_wordnet_is_found_where_nltk_puts_it(wordnet, tmp_path, monkeypatch):
    monkeypatch.delenv('WNSEARCHDIR', raising=False)
    monkeypatch.setenv('NLTK_DATA', str(tmp_path))
    assert WordNet.find().path == wordnet
    with zipfile.ZipFile(tmp_path / 'corpora' / 'wordnet.zip', 'w') as archive:
        for file in wordnet.iterdir():
            archive.write(file, f'wordnet/{file.name}')
    expected = WordNet(wordnet).synsets('guys')
    shutil.rmtree(wordnet)
    assert WordNet.find().path.name == 'wordnet.zip'
    assert WordNet.find().synsets('guys') == expected
    monkeypatch.setenv('WNSEARCHDIR', str(tmp_path))
    (tmp_path / 'index.noun').write_text('')
    with pytest.raises(MissingFileError, match='is not a WordNet folder or archive: it has no noun.exc'):
        WordNet.find()
    with pytest.raises(MissingFileError, match='is not a WordNet folder or archive: it has no index.noun'):
        WordNet(tmp_path / 'corpora')


def test_a_missing_stemmer_is_named(monkeypatch):
    module._stemmer.cache_clear()
    monkeypatch.setitem(sys.modules, 'snowballstemmer', None)
    with pytest.raises(MissingDependencyError, match='pip install snowballstemmer'):
        _score('a dog', 'a dog')


def test_text_instead_of_words_is_refused():
    with pytest.raises(DataError, match='is text; give its words'):
        meteor(['a dog'], [[['a']]])


@pytest.mark.slow
def test_equals_the_authors_program_where_java_is_at_hand(tmp_path):
    scorer = pytest.importorskip('pycocoevalcap.meteor.meteor')
    if shutil.which('java') is None:
        pytest.skip('needs Java')
    candidates, references = random_corpus(300, max_references=1)
    (tmp_path / 'c').write_text('\n'.join(map(' '.join, candidates)) + '\n')
    (tmp_path / 'r').write_text('\n'.join(' '.join(captions[0]) for captions in references) + '\n')
    jar = Path(scorer.__file__).parent / scorer.METEOR_JAR
    command = ['java', '-Xmx2G', '-jar', str(jar), str(tmp_path / 'c'), str(tmp_path / 'r')]
    command += ['-l', 'en', '-norm', '-m', 'exact stem', '-w', '1.0 0.6']
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split('\t')[1] for line in said.splitlines() if line.startswith('Segment')]
    corpus, scores = meteor(candidates, references)
    assert np.mean(np.abs(scores - np.array(lines, dtype=float)) < 1e-9) > 0.99
    assert corpus == pytest.approx(float(said.split('Final score:')[1]), abs=1e-3)


def test_a_user_without_a_home_has_no_wordnet_there(wordnet, tmp_path, monkeypatch):
    """Such as a user id of a container that no user has: pathlib raises an error for it."""
    monkeypatch.setattr('os.path.expanduser', lambda path: path)
    monkeypatch.setattr('pathlib.Path.home', lambda: (_ for _ in ()).throw(RuntimeError('no home')))
    monkeypatch.setenv('NLTK_DATA', str(tmp_path))
    monkeypatch.delenv('WNSEARCHDIR', raising=False)
    assert WordNet.find().path == wordnet
