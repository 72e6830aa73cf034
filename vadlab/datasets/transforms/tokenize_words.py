from itertools import cycle, islice

import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TOKENIZERS, TRANSFORMS
from ...utils.errors import ConfigError
from .random_generator import new_generator


@TRANSFORMS.register_module()
class TokenizeWords(BaseTransform):
    """Turn captions into numbers of a word vocabulary, with start and end: the pair's caption, or some of an image's.

    Required keys: caption, or captions with ``num_captions``

    Added keys: caption_tokens (int64, shape (L,), unpadded; with ``num_captions`` = K, shape (K, L), padded with zeros)

    Args:
        tokenizer: Config of a :class:`~vadlab.models.tokenizers.WordVocabulary`.
        max_len: Longest sequence, including start and end, >= 3; longer ones are cut and keep their end.
        num_captions: Number of captions drawn per image, again each time; an image with fewer captions repeats some.
            None takes the pair's caption.

    Raises:
        ConfigError: ``max_len`` or ``num_captions`` is too small.
    """

    def __init__(self, tokenizer: dict, max_len: int = 54, num_captions: int | None = None) -> None:
        if max_len < 3:
            raise ConfigError(f'TokenizeWords: max_len must be >= 3, not {max_len!r}')
        if num_captions is not None and num_captions < 1:
            raise ConfigError(f'TokenizeWords: num_captions must be >= 1, not {num_captions!r}')
        self.tokenizer = TOKENIZERS.build(tokenizer)
        self.max_len = max_len
        self.num_captions = num_captions

    def transform(self, results: dict) -> dict:
        if self.num_captions is None:
            results['caption_tokens'] = np.array(self.tokenizer.encode(results['caption'], self.max_len), np.int64)
            return results
        order = new_generator().permutation(len(results['captions']))
        chosen = islice(cycle(order.tolist()), self.num_captions)
        rows = [self.tokenizer.encode(results['captions'][place], self.max_len) for place in chosen]
        tokens = np.full((len(rows), max(map(len, rows))), self.tokenizer.pad_id, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        results['caption_tokens'] = tokens
        return results

    def report(self, data_list: list[dict]) -> list[str]:
        """Log line with the number of unknown words and of cut captions."""
        before = self.tokenizer.truncated
        ids = [
            np.array(self.tokenizer.encode(caption, self.max_len))
            for sample in data_list
            for caption in sample['captions']
        ]
        num_words = sum(len(row) - 2 for row in ids)
        num_unknown = sum(int((row == self.tokenizer.unk_id).sum()) for row in ids)
        line = f'{num_unknown} of {num_words} words ({num_unknown / max(num_words, 1):.2%}) are unknown'
        num_cut = self.tokenizer.truncated - before
        return [line + (f', {num_cut} of {len(ids)} captions are cut at {self.max_len} tokens' if num_cut else '')]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(words={self.tokenizer.vocab_size}, max_len={self.max_len})'
