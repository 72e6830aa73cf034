"""Which words mean the same, from a WordNet that is on this machine."""

import os
import zipfile
from pathlib import Path

from vadlab.utils.errors import MissingFileError

PARTS_OF_SPEECH = ('noun', 'verb', 'adj', 'adv')
# WordNet's rules of detachment (its manual, morphy): nouns, verbs, adjectives.
_ENDINGS = (
    *[
        ('s', ''),
        ('ses', 's'),
        ('xes', 'x'),
        ('zes', 'z'),
        ('ches', 'ch'),
        ('shes', 'sh'),
        ('men', 'man'),
        ('ies', 'y'),
    ],
    *[('s', ''), ('ies', 'y'), ('es', 'e'), ('es', ''), ('ed', 'e'), ('ed', ''), ('ing', 'e'), ('ing', '')],
    *[('er', ''), ('est', ''), ('er', 'e'), ('est', 'e')],
)


class WordNet:
    """Synonym sets of words (Miller, "WordNet: A Lexical Database for English", CACM 1995).

    Args:
        path (str | Path): The folder with WordNet's ``index.noun``, ``noun.exc`` and so on, or a ``.zip`` of it.

    Raises:
        MissingFileError: These files are not there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._entries: dict[str, list[tuple[str, str]]] = {}
        self._bases: dict[str, list[str]] = {}
        for part in PARTS_OF_SPEECH:
            for line in self._lines(f'index.{part}'):
                if not line.startswith(' '):  # the licence is indented
                    self._entries.setdefault(line[: line.index(' ')], []).append((part, line))
            for line in self._lines(f'{part}.exc'):
                form, *bases = line.split()
                self._bases.setdefault(form, []).extend(bases)

    @classmethod
    def find(cls) -> 'WordNet | None':
        """The first WordNet where NLTK (``python -m nltk.downloader wordnet``) or Debian (``wordnet-base``) puts it.

        ``NLTK_DATA`` and ``WNSEARCHDIR``, the variables that NLTK and WordNet themselves look at, come first.
        """
        folders = [*os.environ.get('NLTK_DATA', '').split(os.pathsep), str(Path.home() / 'nltk_data')]
        folders += [
            '/usr/share/nltk_data',
            '/usr/local/share/nltk_data',
            '/usr/lib/nltk_data',
            '/usr/local/lib/nltk_data',
        ]
        corpora = [Path(folder) / 'corpora' for folder in folders if folder]
        places = [Path(os.environ['WNSEARCHDIR'])] if os.environ.get('WNSEARCHDIR') else []
        places += [corpus / name for corpus in corpora for name in ('wordnet', 'wordnet.zip')]
        places += [Path('/usr/share/wordnet')]
        for place in places:
            if (place.suffix == '.zip' and place.is_file()) or (place / 'index.noun').is_file():
                return cls(place)
        return None

    def synsets(self, word: str) -> frozenset[str]:
        """Names of the sets that a word, or the form that WordNet lists it under, belongs to; empty if none."""
        forms = [word, *(self._bases.get(word) or self._detached(word))]
        return frozenset(
            f'{part}{offset}'
            for form in forms
            for part, line in self._entries.get(form, ())
            for offset in _offsets(line)
        )

    def _detached(self, word: str) -> list[str]:
        if len(word) <= 2 or word.endswith('ss'):
            return []
        forms = (word.removesuffix(ending) + base for ending, base in _ENDINGS if word.endswith(ending))
        return [form for form in forms if form in self._entries][:1]

    def _lines(self, name: str) -> list[str]:
        try:
            if self.path.suffix != '.zip':
                return (self.path / name).read_text(encoding='utf-8').splitlines()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(f'{self.path.stem}/{name}').decode('utf-8').splitlines()
        except (FileNotFoundError, KeyError) as error:
            raise MissingFileError(f'{self.path} is no WordNet: it has no {name}') from error


def _offsets(line: str) -> list[str]:
    """The synonym sets of a line of an index file: its last fields, as many as the third says."""
    fields = line.split()
    return fields[-int(fields[2]) :]
