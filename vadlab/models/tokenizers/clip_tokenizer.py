import gzip
import html
import importlib.util
import io
import unicodedata
import zlib
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from vadlab.registry import TOKENIZERS
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.gc_pause import garbage_collection_paused
from vadlab.utils.text_file import decode_text, read_bytes

VOCAB_NAME = 'bpe_simple_vocab_16e6.txt.gz'
_NUM_MERGES = 49152 - 256 - 2
_MOST_BYTES = 16_000_000  # limit of the unpacked vocabulary; OpenAI's has 3 MB
_END_OF_WORD = '</w>'
_CONTRACTIONS = ("'re", "'ve", "'ll", "'s", "'t", "'m", "'d")
_CACHED_WORDS = 1 << 16


def default_vocab_file() -> Path:
    """Path of OpenAI's merges file in the installed ``open_clip_torch``, found without importing the package.

    Raises:
        MissingFileError: The package is not installed.
    """
    spec = importlib.util.find_spec('open_clip')
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / VOCAB_NAME).is_file():
            return Path(folder) / VOCAB_NAME
    raise MissingFileError(
        f'CLIPTokenizer: no {VOCAB_NAME} here. It comes with a package: pip install --no-deps open_clip_torch. '
        'Or give your own copy: vocab_file=PATH.'
    )


def _byte_alphabet() -> list[str]:
    """A printable character per byte, in the order of CLIP's ids."""
    printable = [*range(ord('!'), ord('~') + 1), *range(ord('¡'), ord('¬') + 1), *range(ord('®'), ord('ÿ') + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def _byte_to_char() -> dict[int, str]:
    alphabet = _byte_alphabet()
    known = {ord(char): char for char in alphabet if ord(char) < 256}
    rest = (char for char in alphabet if ord(char) >= 256)
    return {byte: known.get(byte) or next(rest) for byte in range(256)}


def _kind(char: str) -> str:
    if char.isspace():
        return ' '
    category = unicodedata.category(char)[0]
    return category if category in 'LN' else '.'


def split_words(text: str) -> list[str]:
    """Split text as CLIP does: English contractions, runs of letters, single digits, runs of other characters."""
    words = []
    i = 0
    while i < len(text):
        contraction = next((c for c in _CONTRACTIONS if text.startswith(c, i)), None)
        kind = _kind(text[i])
        end = i + 1
        if contraction:
            end = i + len(contraction)
        elif kind in 'L.':
            while end < len(text) and _kind(text[end]) == kind:
                end += 1
        if kind != ' ':
            words.append(text[i:end])
        i = end
    return words


@TOKENIZERS.register_module()
class CLIPTokenizer:
    """CLIP's byte-level byte-pair tokenizer; it accepts any text, because every byte has a token.

    Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016, arXiv:1508.07909, with the
    49,408 tokens of Radford et al., 2021, arXiv:2103.00020. Text is cleaned first: HTML entities resolved (twice, for
    ``&amp;amp;``), Unicode NFC, white space collapsed, lower case. OpenAI's code also applies ``ftfy`` (which
    straightens quotes and narrows full-width letters). FG-CLIP was trained without it, so it is not applied here. The
    name of a special token in a caption is ordinary text.

    Args:
        vocab_file (str | None): OpenAI's merges file, ``.txt`` or ``.txt.gz``; by default the one in the installed
            ``open_clip_torch`` package.

    Attributes:
        truncated (int): Number of texts cut so far in this process.

    Raises:
        MissingFileError: The file does not exist; the message has the command that installs it.
        DataError: The file is not OpenAI's merges file.

    Example:
        >>> CLIPTokenizer().encode('a man runs')
        [49406, 320, 786, 5586, 49407]
    """

    def __init__(self, vocab_file: str | None = None) -> None:
        path = Path(vocab_file) if vocab_file else default_vocab_file()
        if not path.is_file():
            raise MissingFileError(
                f'CLIPTokenizer: no vocabulary file {path}. Leave vocab_file out to use the copy in open_clip_torch: '
                'pip install --no-deps open_clip_torch'
            )
        with garbage_collection_paused():
            merges = self._read_merges(path, path.stat().st_mtime_ns)
            symbols = _byte_alphabet()
            symbols = symbols + [s + _END_OF_WORD for s in symbols] + [''.join(pair) for pair in merges]
            self.id_of = {symbol: i for i, symbol in enumerate(symbols)}
            self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._symbols = symbols
        self._byte_to_char = _byte_to_char()
        self._cache: dict[str, list[int]] = {}
        self.start_id = len(symbols)
        self.end_id = len(symbols) + 1
        self.truncated = 0

    @property
    def vocab_size(self) -> int:
        """Number of token ids, special ones included."""
        return len(self._symbols) + 2

    def encode(self, text: str, max_len: int = 248) -> list[int]:
        """Token ids of a text, start and end id included, not padded.

        Args:
            text (str): Any text.
            max_len (int): Maximum number of ids. Longer texts are cut, keep their end id, and are counted in
                ``truncated``.

        Returns:
            list[int]: 2 to ``max_len`` ids.

        Raises:
            ConfigError: ``max_len`` leaves no room for the start and end ids.
        """
        if max_len < 2:
            raise ConfigError(f'CLIPTokenizer: max_len={max_len}; the start and end ids alone take 2.')
        ids = [self.start_id]
        for word in split_words(self.clean(text)):
            ids.extend(self._word_ids(word))
            if len(ids) >= max_len:
                break
        if len(ids) + 1 > max_len:
            self.truncated += 1
            ids = ids[: max_len - 1]
        return [*ids, self.end_id]

    def decode(self, ids: list[int]) -> str:
        """Cleaned text of token ids, without special tokens, with words separated by spaces."""
        symbols = ''.join(self._symbols[i] for i in ids if i < len(self._symbols))
        byte_of = {char: byte for byte, char in self._byte_to_char.items()}
        raw = [bytes(byte_of[char] for char in word) for word in symbols.split(_END_OF_WORD)]
        return ' '.join(word.decode('utf-8', errors='replace') for word in raw).strip()

    @staticmethod
    def clean(text: str) -> str:
        """Cleaned text, as it is split into tokens."""
        text = html.unescape(html.unescape(text))
        # Lone surrogates, which JSON allows, cannot be encoded as UTF-8.
        text = text.encode('utf-8', errors='replace').decode('utf-8')
        return ' '.join(unicodedata.normalize('NFC', text).split()).lower()

    def _word_ids(self, word: str) -> list[int]:
        if word not in self._cache:
            if len(self._cache) >= _CACHED_WORDS:
                self._cache.clear()
            symbols = [self._byte_to_char[byte] for byte in word.encode('utf-8')]
            symbols[-1] += _END_OF_WORD
            self._cache[word] = [self.id_of[s] for s in self._merge(symbols)]
        return self._cache[word]

    def _merge(self, symbols: list[str]) -> list[str]:
        """Merge neighbouring symbols, best-ranked pair first, until no known pair is left."""
        never = len(self._ranks)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: self._ranks.get(pair, never))
            if best not in self._ranks:
                break
            joined = []
            i = 0
            while i < len(symbols):
                if tuple(symbols[i : i + 2]) == best:
                    joined.append(symbols[i] + symbols[i + 1])
                    i += 2
                else:
                    joined.append(symbols[i])
                    i += 1
            symbols = joined
        return symbols

    @staticmethod
    @lru_cache(maxsize=2)  # each pipeline has its own tokenizer, but they all read the same file
    def _read_merges(path: Path, mtime_ns: int) -> list[tuple[str, str]]:
        try:
            raw = read_bytes(path, _MOST_BYTES)
            if raw[:2] == b'\x1f\x8b':
                raw = gzip.open(io.BytesIO(raw)).read(_MOST_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f'CLIPTokenizer: cannot read the vocabulary file {path}: {error}') from error
        pairs = [line.split() for line in decode_text(raw, path).split('\n')[1 : _NUM_MERGES + 1]]
        if len(pairs) < _NUM_MERGES or any(len(pair) != 2 for pair in pairs):
            raise DataError(
                f'CLIPTokenizer: {path} does not hold the {_NUM_MERGES:,} merges of {VOCAB_NAME}, two symbols per line '
                'after a comment line.'
            )
        return [(first, second) for first, second in pairs]
