"""Synonyms from a local copy of WordNet."""

import os
import zipfile
from pathlib import Path

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import ZIP_DAMAGE
from vadlab.utils.text_file import MOST_BYTES, decode_text, read_bytes, split_lines

#: What to do where :meth:`WordNet.find` finds none.
NO_WORDNET = (
    "METEOR matches no synonyms, since there is no WordNet. To get it: pip install 'vadlab[captions]', then "
    'python -m nltk.downloader wordnet'
)
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
        MissingFileError: Files are missing.
        DataError: They have another content.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._entries: dict[str, list[tuple[str, str]]] = {}
        self._bases: dict[str, list[str]] = {}
        for part in PARTS_OF_SPEECH:
            for number, line in enumerate(self._lines(f'index.{part}'), 1):
                if line.startswith(' '):  # the licence is indented
                    continue
                word, space, _ = line.partition(' ')
                if not space or not _is_entry(line):
                    raise DataError(f'{self.path}, index.{part}, line {number}: is not an entry of a WordNet')
                self._entries.setdefault(word, []).append((part, line))
            for line in self._lines(f'{part}.exc'):
                form, *bases = line.split() or ['']
                self._bases.setdefault(form, []).extend(bases)

    @classmethod
    def find(cls) -> 'WordNet | None':
        """First WordNet in the folders of NLTK (``python -m nltk.downloader wordnet``) and Debian (``wordnet-base``).

        ``NLTK_DATA`` and ``WNSEARCHDIR``, the environment variables of NLTK and WordNet, are searched first.
        """
        folders = [*os.environ.get('NLTK_DATA', '').split(os.pathsep), os.path.expanduser('~/nltk_data')]
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
            # Unlike pathlib's, these are False in folders that may not be read, such as another user's home.
            if (place.suffix == '.zip' and os.path.isfile(place)) or os.path.isfile(place / 'index.noun'):
                return cls(place)
        return None

    def synsets(self, word: str) -> frozenset[str]:
        """Names of the synonym sets of a word or of its base form; empty if there are none."""
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
                raw = read_bytes(self.path / name)
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(f'{self.path.stem}/{name}') as file:
                    raw = file.read(MOST_BYTES)
        except (FileNotFoundError, KeyError) as error:
            raise MissingFileError(f'{self.path} is not a WordNet folder or archive: it has no {name}') from error
        except ZIP_DAMAGE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f'{self.path} cannot be read: {error}') from error
        return split_lines(decode_text(raw, f'{self.path}, {name}'))


def _is_entry(line: str) -> bool:
    fields = line.split()
    return len(fields) > 2 and fields[2].isdecimal() and 0 < int(fields[2][:6]) < len(fields)


def _offsets(line: str) -> list[str]:
    """Synonym sets in a line of an index file: its last fields, whose number is in the third field."""
    fields = line.split()
    return fields[-int(fields[2]) :]
