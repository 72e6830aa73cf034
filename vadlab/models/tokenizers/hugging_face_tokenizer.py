from functools import lru_cache
from pathlib import Path
from typing import Any

from vadlab.checkpoints.hub import hub_folder
from vadlab.registry import TOKENIZERS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingDependencyError, MissingFileError
from vadlab.utils.json_file import read_json
from vadlab.utils.text_file import decode_text, read_bytes

_FILE, _CONFIG = 'tokenizer.json', 'tokenizer_config.json'
_MOST_BYTES = 256_000_000  # Gemma's has 34 MB
_USUAL_PADDING = ('<pad>', '[PAD]', '<|pad|>')


@TOKENIZERS.register_module()
class HuggingFaceTokenizer:
    """The tokenizer of a Hugging Face model, from its ``tokenizer.json``, such as FG-CLIP 2's, which is Gemma's.

    Texts are lower-cased, as FG-CLIP 2 was trained. Start and end ids are those that the file itself adds (Gemma's for
    SigLIP 2: an end id, no start id). Nothing in the file is executed.

    Args:
        path (str | None): A folder with ``tokenizer.json``, that file itself, or a Hugging Face id.
        lower (bool): Lower-case texts.

    Attributes:
        source (str): Where it comes from, for messages.
        pad_id (int): Id of the padding token.
        truncated (int): Number of texts cut so far in this process.

    Raises:
        ConfigError: No path is given.
        MissingFileError: The folder has no ``tokenizer.json``.
        DataError: The file is not a tokenizer, or has no padding token.
        MissingDependencyError: The package tokenizers is not installed.
    """

    def __init__(self, path: str | Path | None = None, lower: bool = True) -> None:
        if path is None:
            raise ConfigError(
                'HuggingFaceTokenizer: path is None; give the folder with tokenizer.json, or a Hugging Face id.'
            )
        file = _find(str(path))
        self.source = str(path)
        self.lower = lower
        self._tokenizer = _read(file, file.stat().st_mtime_ns)
        self.pad_id = _pad_id(self._tokenizer, file)
        self.truncated = 0

    @property
    def vocab_size(self) -> int:
        """Number of token ids, special ones included."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str, max_len: int = 196) -> list[int]:
        """Token ids of a text, not padded.

        Args:
            text (str): Any text.
            max_len (int): Maximum number of ids. Longer texts are cut, keep their end id, and are counted in
                ``truncated``.

        Returns:
            list[int]: 1 to ``max_len`` ids.

        Raises:
            ConfigError: ``max_len`` is not positive.
        """
        if max_len < 1:
            raise ConfigError(f'HuggingFaceTokenizer: max_len must be >= 1, not {max_len}')
        # Lone surrogates, which JSON allows, cannot be encoded as UTF-8.
        text = text.encode('utf-8', errors='replace').decode('utf-8')
        found = self._tokenizer.encode(text.lower() if self.lower else text)
        ids = list(found.ids) or [self.pad_id]
        if len(ids) > max_len:
            self.truncated += 1
            keeps_end = bool(found.special_tokens_mask[-1])
            ids = [*ids[: max_len - 1], ids[-1]] if keeps_end else ids[:max_len]
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of token ids, without special tokens."""
        return self._tokenizer.decode([int(i) for i in ids])


def _find(path: str) -> Path:
    """Path of the ``tokenizer.json``."""
    found = Path(path).expanduser()
    if found.is_file():
        return found
    if found.is_dir():
        if (found / _FILE).is_file():
            return found / _FILE
        advice = (
            f'Copy {_FILE} and {_CONFIG} from the source of the weights into it'
            if not (found / 'tokenizer.model').is_file()
            else 'Write one from its tokenizer.model: python -c "from transformers import AutoTokenizer; '
            f"AutoTokenizer.from_pretrained('{path}').save_pretrained('{path}')\""
        )
        raise MissingFileError(f'HuggingFaceTokenizer: {path} has no {_FILE}. {advice}.')
    try:
        return hub_folder(path, [(_FILE, _CONFIG), (_FILE,)]) / _FILE
    except CheckpointError as error:
        raise MissingFileError(f'HuggingFaceTokenizer: {error}') from error


@lru_cache(maxsize=2)  # each pipeline has its own tokenizer, but they all read the same file
def _read(file: Path, mtime_ns: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingDependencyError('HuggingFaceTokenizer needs tokenizers: pip install tokenizers') from error
    text = decode_text(read_bytes(file, _MOST_BYTES), file)
    try:
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode('a')  # some damage shows only here
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # panics of the package are not subclasses of Exception
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(f'HuggingFaceTokenizer: {file} is not a tokenizer: {reason}') from error
    return tokenizer


def _pad_id(tokenizer: Any, file: Path) -> int:
    """Id of the padding token, by the config beside the file or the usual names."""
    config = read_json(file.with_name(_CONFIG)) if file.with_name(_CONFIG).is_file() else {}
    named = config.get('pad_token') if isinstance(config, dict) else None
    if isinstance(named, dict):
        named = named.get('content')
    names = [named] if isinstance(named, str) else list(_USUAL_PADDING)
    found = next((i for i in map(tokenizer.token_to_id, names) if i is not None), None)
    if found is None:
        raise DataError(
            f'HuggingFaceTokenizer: {file} has no padding token ({" or ".join(names)}). Copy {_CONFIG} from the source '
            'of the weights.'
        )
    return found
