import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TOKENIZERS, TRANSFORMS
from ...utils.errors import ConfigError

_SHORT_TOKENS = 77


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Turn captions into token ids, unpadded, with start and end ids.

    Required keys: caption, regions

    Added keys: caption_tokens (int64, shape (L,)), region_tokens (list of int64 arrays), region_negative_tokens (per
    region a list of int64 arrays, possibly empty)

    Args:
        tokenizer: Config of a tokenizer.
        max_len: Longest sequence, including start and end ids, >= 3; longer ones are cut and keep their end id.

    Raises:
        ConfigError: ``max_len`` is too small.
    """

    def __init__(self, tokenizer: dict | None = None, max_len: int = 248) -> None:
        if max_len < 3:
            raise ConfigError(f'TokenizeCaptions: max_len must be >= 3, not {max_len!r}')
        self.tokenizer = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer'))
        self.max_len = max_len

    def _encode(self, text: str) -> np.ndarray:
        return np.array(self.tokenizer.encode(text, max_len=self.max_len), np.int64)

    def transform(self, results: dict) -> dict:
        results['caption_tokens'] = self._encode(results['caption'])
        results['region_tokens'] = [self._encode(region['caption']) for region in results['regions']]
        results['region_negative_tokens'] = [
            [self._encode(text) for text in region.get('negatives', [])] for region in results['regions']
        ]
        return results

    def report(self, data_list: list[dict]) -> list[str]:
        """Log line with the number of long captions and of cut ones."""
        captions = [s['caption'] for s in data_list] + [r['caption'] for s in data_list for r in s['regions']]
        before = getattr(self.tokenizer, 'truncated', 0)
        lengths = np.array([len(self._encode(caption)) for caption in captions])
        n_cut = getattr(self.tokenizer, 'truncated', 0) - before
        n_long = int((lengths > _SHORT_TOKENS).sum())
        line = (
            f'{n_long} of {len(lengths)} captions ({n_long / len(lengths):.1%}) have more than {_SHORT_TOKENS} tokens'
        )
        return [line + (f', {n_cut} are cut at {self.max_len}' if n_cut else '')]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={type(self.tokenizer).__name__}, max_len={self.max_len})'
