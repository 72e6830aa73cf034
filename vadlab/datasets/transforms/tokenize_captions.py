import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from ...registry import TOKENIZERS, TRANSFORMS
from ...utils.errors import ConfigError


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Turn captions into token ids, unpadded, with start and end ids.

    Required keys: caption, regions

    Added keys: caption_tokens (int64, shape (L,)), region_tokens (list of int64 arrays), region_negative_tokens (per
    region a list of int64 arrays, possibly empty)

    Args:
        tokenizer: Config of a tokenizer.
        max_len: Longest sequence, including start and end ids, >= 3; longer ones are cut and keep their end id.
        short_len: Longest sequence of the model's short text path; longer ones are counted in the log.
        region_len: Longest sequence of the captions and negatives of regions, >= 3; ``max_len`` by default.

    Raises:
        ConfigError: ``max_len`` or ``region_len`` is too small.
    """

    def __init__(
        self,
        tokenizer: dict | None = None,
        max_len: int = 248,
        short_len: int = 77,
        region_len: int | None = None,
    ) -> None:
        region_len = max_len if region_len is None else region_len
        if min(max_len, region_len) < 3:
            raise ConfigError(
                f'TokenizeCaptions: max_len must be >= 3, not {max_len!r}, and so must region_len ({region_len!r})'
            )
        self.tokenizer = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer'))
        self.max_len = max_len
        self.short_len = short_len
        self.region_len = region_len

    def _encode(self, text: str, max_len: int) -> np.ndarray:
        return np.array(self.tokenizer.encode(text, max_len=max_len), np.int64)

    def transform(self, results: dict) -> dict:
        limit = self.region_len
        results['caption_tokens'] = self._encode(results['caption'], self.max_len)
        results['region_tokens'] = [self._encode(region['caption'], limit) for region in results['regions']]
        results['region_negative_tokens'] = [
            [self._encode(text, limit) for text in region.get('negatives', [])] for region in results['regions']
        ]
        return results

    def report(self, data_list: list[dict]) -> list[str]:
        """Log line with the number of long captions; a warning names the videos of cut ones."""
        n_captions, n_long, cut = 0, 0, []
        for sample in data_list:
            texts = [(sample['caption'], self.max_len)]
            texts += [(region['caption'], self.region_len) for region in sample['regions']]
            for text, limit in texts:
                before = getattr(self.tokenizer, 'truncated', 0)
                n_captions += 1
                n_long += len(self._encode(text, limit)) > self.short_len
                if getattr(self.tokenizer, 'truncated', 0) > before:
                    cut.append(sample.get('video_id', '?'))
        if cut:
            where = f'{self.max_len} tokens' + (
                '' if self.region_len == self.max_len else f' (those of regions at {self.region_len})'
            )
            some = ', '.join(dict.fromkeys(cut[:5]))
            MMLogger.get_current_instance().warning(
                f'TokenizeCaptions: {len(cut)} captions are too long for the text tower and are cut at {where}, in '
                f'{some}{", ..." if len(cut) > 5 else ""}. Shorten them, if their end matters.'
            )
        return [f'{n_long} of {n_captions} captions ({n_long / n_captions:.1%}) have more than {self.short_len} tokens']

    def __repr__(self) -> str:
        return f'{type(self).__name__}(tokenizer={type(self.tokenizer).__name__}, max_len={self.max_len})'
