import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TOKENIZERS, TRANSFORMS
from ...utils.errors import ConfigError


@TRANSFORMS.register_module()
class TokenizeWords(BaseTransform):
    """Turn a pair's caption into numbers of a word vocabulary, with start and end, unpadded.

    Required keys: caption

    Added keys: caption_tokens (int64, shape (L,))

    Args:
        tokenizer: Config of a :class:`~vadlab.models.tokenizers.WordVocabulary`.
        max_len: Longest sequence, start and end included, >= 3; longer ones are cut and keep their end.

    Raises:
        ConfigError: ``max_len`` is too small.
    """

    def __init__(self, tokenizer: dict, max_len: int = 54) -> None:
        if max_len < 3:
            raise ConfigError(f'TokenizeWords: max_len must be >= 3, not {max_len!r}')
        self.tokenizer = TOKENIZERS.build(tokenizer)
        self.max_len = max_len

    def transform(self, results: dict) -> dict:
        results['caption_tokens'] = np.array(self.tokenizer.encode(results['caption'], self.max_len), np.int64)
        return results

    def report(self, data_list: list[dict]) -> list[str]:
        """How many words the vocabulary does not know, and how many captions are cut."""
        before = self.tokenizer.truncated
        ids = [np.array(self.tokenizer.encode(sample['caption'], self.max_len)) for sample in data_list]
        num_words = sum(len(row) - 2 for row in ids)
        num_unknown = sum(int((row == self.tokenizer.unk_id).sum()) for row in ids)
        line = f'{num_unknown} of {num_words} words ({num_unknown / max(num_words, 1):.2%}) are unknown'
        num_cut = self.tokenizer.truncated - before
        return [line + (f', {num_cut} of {len(ids)} captions are cut at {self.max_len} tokens' if num_cut else '')]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(words={self.tokenizer.vocab_size}, max_len={self.max_len})'
