import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from vadlab.registry import TOKENIZERS
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.atomic import write_text
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json

SPECIAL_WORDS = ('<pad>', '<unk>', '<bos>', '<eos>')
_ADVICE = 'Build one from the training captions: python tools/build_vocabulary.py CAPTIONS.json --out FILE'


@TOKENIZERS.register_module()
class WordVocabulary:
    """Word vocabulary of a captioner, stored as a JSON file.

    Captions are split into words as in the metrics (:func:`ptb_tokenize`: lower case, no punctuation), so that the
    model is trained on the words that it is evaluated on.

    Args:
        vocab_file (str | None): JSON ``{"words": ["<pad>", "<unk>", "<bos>", "<eos>", "a", ...]}``; the id of a word is
            its position in the list.
        words (Sequence[str] | None): The words, instead of a file.

    Attributes:
        words (tuple[str, ...]): All words, in the order of their ids.
        pad_id, unk_id, bos_id, eos_id (int): 0, 1, 2 and 3.
        truncated (int): Number of captions cut so far in this process.

    Raises:
        ConfigError: Neither or both of ``vocab_file`` and ``words`` are given.
        MissingFileError: The file does not exist.
        DataError: The file is not a vocabulary: a special word is missing or misplaced, or a word occurs twice.

    Example:
        >>> vocabulary = WordVocabulary.build(['A red car.', 'A blue car!'], min_count=2)
        >>> vocabulary.encode('a green car'), vocabulary.decode([2, 4, 5, 3])
        ([2, 4, 1, 5, 3], 'a car')
    """

    pad_id, unk_id, bos_id, eos_id = range(4)

    def __init__(self, vocab_file: str | Path | None = None, words: Sequence[str] | None = None) -> None:
        if (vocab_file is None) == (words is None):
            raise ConfigError('WordVocabulary: give vocab_file, or words.')
        self.source = 'words' if vocab_file is None else str(vocab_file)
        self.words = tuple(words or ()) if vocab_file is None else tuple(_read(Path(vocab_file)))
        self._check()
        # Special words are excluded: a caption that contains the text '<eos>' must not end there.
        self._ids = {word: number for number, word in enumerate(self.words) if word not in SPECIAL_WORDS}
        self.truncated = 0

    def _check(self) -> None:
        if not all(isinstance(word, str) and word and not any(map(str.isspace, word)) for word in self.words):
            bad = next(w for w in self.words if not isinstance(w, str) or not w or any(map(str.isspace, w)))
            raise DataError(f'WordVocabulary: {self.source}: {bad!r} is not a word. {_ADVICE}')
        missing = [word for word in SPECIAL_WORDS if word not in self.words]
        if missing or self.words[:4] != SPECIAL_WORDS:
            what = f'lacks {", ".join(missing)}' if missing else f'begins with {" ".join(self.words[:4])}'
            raise DataError(
                f'WordVocabulary: {self.source} {what}; its first words must be {" ".join(SPECIAL_WORDS)}. {_ADVICE}'
            )
        twice = [word for word, count in Counter(self.words).items() if count > 1]
        if twice:
            raise DataError(
                f'WordVocabulary: {self.source}: {len(twice)} words occur twice (first: {twice[0]!r}). {_ADVICE}'
            )

    @property
    def vocab_size(self) -> int:
        """Number of words, the four special ones included."""
        return len(self.words)

    @property
    def fingerprint(self) -> int:
        """63-bit hash of the word list, saved with weights that are trained with it."""
        digest = hashlib.sha256('\n'.join(self.words).encode('utf-8')).digest()
        return int.from_bytes(digest[:8], 'big') >> 1

    def encode(self, text: str, max_len: int = 54) -> list[int]:
        """Ids of a caption's words, start and end id included, not padded.

        Args:
            text (str): A caption.
            max_len (int): Maximum number of ids. Longer captions are cut, keep their end id, and are counted in
                ``truncated``.

        Returns:
            list[int]: 2 to ``max_len`` ids.

        Raises:
            ConfigError: ``max_len`` leaves no room for the start and end ids.
        """
        if max_len < 2:
            raise ConfigError(f'WordVocabulary: max_len={max_len}; start and end alone take 2.')
        ids = [self._ids.get(word, self.unk_id) for word in ptb_tokenize(text)]
        if len(ids) > max_len - 2:
            self.truncated += 1
            ids = ids[: max_len - 2]
        return [self.bos_id, *ids, self.eos_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Words of a sentence up to its end id, separated by spaces, without padding and start.

        Raises:
            DataError: An id is not in the vocabulary.
        """
        words = []
        for number in map(int, ids):
            if number == self.eos_id:
                break
            if not 0 <= number < len(self.words):
                raise DataError(
                    f'WordVocabulary: number {number} is beyond the {len(self.words)} words of {self.source}. '
                    'The model and the vocabulary do not belong together.'
                )
            if number not in (self.pad_id, self.bos_id):
                words.append(self.words[number])
        return ' '.join(words)

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 5) -> 'WordVocabulary':
        """Vocabulary of the words that occur often enough, sorted by frequency, then alphabetically.

        Args:
            captions (Iterable[str]): Captions of the training images.
            min_count (int): Rarer words become ``<unk>``.

        Raises:
            DataError: No word occurs often enough.
        """
        counts = Counter(word for caption in captions for word in ptb_tokenize(caption))
        kept = [word for word, count in counts.items() if count >= min_count and word not in SPECIAL_WORDS]
        if not kept:
            raise DataError(f'WordVocabulary: none of {len(counts)} words occurs {min_count} times; lower min_count.')
        return cls(words=[*SPECIAL_WORDS, *sorted(kept, key=lambda word: (-counts[word], word))])

    def save(self, path: str | Path) -> None:
        """Write the JSON file for ``vocab_file`` atomically."""
        write_text(path, json.dumps({'words': self.words}, ensure_ascii=False, indent=0) + '\n')

    def __len__(self) -> int:
        return len(self.words)


def _read(path: Path) -> list:
    if not path.is_file():
        raise MissingFileError(f'WordVocabulary: no vocabulary file {path}. {_ADVICE}')
    content = read_json(path)
    words = content.get('words') if isinstance(content, dict) else None
    if not isinstance(words, list):
        raise DataError(f'WordVocabulary: {path} contains no list "words". {_ADVICE}')
    return words
