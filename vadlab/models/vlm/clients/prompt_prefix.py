"""Keys and values of the words that all questions begin with, computed once."""

import copy
import logging
from typing import Any

import torch
from torch import Tensor

from vadlab.utils.run_log import log

_SHORTEST = 16  # tokens; a shorter common beginning costs more to copy than to compute
# Largest difference of the next token's log-probabilities, relative to their size (at least 1).
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class PromptPrefix:
    """Reuses the keys and values of the tokens that the questions of a model have in common.

    Questions that differ in their last part only, such as LAVAD's about summaries, share most of their tokens. These
    tokens go through the model once; each batch of questions continues from a copy. Tokens of frames are never shared:
    where frames come first, as in chat templates, nearly nothing is left to share.

    Not every model can continue from stored keys and values of a shorter text. So the first batch is computed in both
    ways, and if the probabilities of its next tokens differ, the prefix is not used for this model; the log says so.

    Args:
        model (Any): A decoder of transformers.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.is_used = not model.config.is_encoder_decoder
        self.reused = 0
        self._is_checked = False
        self._last: list[int] = []
        self._tokens: list[int] = []
        self._cache: Any = None

    def shorten(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Input of ``generate`` that continues from the stored prefix; the input itself if there is none.

        Args:
            inputs (dict[str, Any]): ``input_ids`` and ``attention_mask`` of shape (B, L), padded on the left. Other
                tensors (frames) are left alone, and questions that have them are not shortened.
        """
        if not self.is_used or set(inputs) - {'input_ids', 'attention_mask', 'token_type_ids', 'mm_token_type_ids'}:
            return inputs
        pairs = zip(inputs['input_ids'], inputs['attention_mask'], strict=True)
        rows = [ids[mask.bool()].tolist() for ids, mask in pairs]
        shared = common_beginning([*rows, self._last] if self._last else rows)
        self._last = rows[-1]
        # At least one token of each question has to go through the model.
        shared = shared[: min(len(row) for row in rows) - 1]
        if len(shared) < _SHORTEST:
            return inputs
        if shared[: len(self._tokens)] != self._tokens or len(self._tokens) < len(shared) / 2:
            self._store(shared, inputs['input_ids'].device)
        if not self.is_used:
            return inputs
        short = self._continued(rows, inputs)
        if not self._is_checked:
            self._check(inputs, short)
            if not self.is_used:
                return inputs
            short = self._continued(rows, inputs)  # the check has appended to its copy
        self.reused += len(self._tokens) * len(rows)
        return short

    def _store(self, tokens: list[int], device: torch.device) -> None:
        with torch.inference_mode():
            ids = torch.tensor([tokens], device=device)
            found = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True, logits_to_keep=1)
        self._tokens, self._cache = tokens, found.past_key_values
        self.is_used = hasattr(self._cache, 'batch_repeat_interleave')

    def _continued(self, rows: list[list[int]], inputs: dict[str, Any]) -> dict[str, Any]:
        """The prefix, then padding, then what follows it in each row."""
        begin = len(self._tokens)
        longest = max(len(row) for row in rows) - begin
        pad = self.model.generation_config.pad_token_id or 0
        ids, mask = [], []
        for row in rows:
            missing = longest - (len(row) - begin)
            ids.append([*row[:begin], *[pad] * missing, *row[begin:]])
            mask.append([1] * begin + [0] * missing + [1] * (len(row) - begin))
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(rows))
        for module in self.model.modules():
            if hasattr(module, 'rope_deltas'):
                module.rope_deltas = None  # Qwen-VL keeps how far the frames of its last question moved positions
        device = inputs['input_ids'].device
        return {
            'input_ids': torch.tensor(ids, device=device),
            'attention_mask': torch.tensor(mask, device=device),
            'past_key_values': cache,
        }

    def _check(self, inputs: dict[str, Any], short: dict[str, Any]) -> None:
        self._is_checked = True
        options = dict(max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=True)
        pad = self.model.generation_config.pad_token_id or 0
        with torch.inference_mode():
            whole, continued = (
                self.model.generate(**one, **options, pad_token_id=pad).logits[0].float().log_softmax(-1)
                for one in (inputs, short)
            )
        self.is_used = _agree(whole, continued, self.model.dtype)
        if not self.is_used:
            log(
                f'{type(self.model).__name__}: what questions have in common is computed for each of them, since '
                'reusing it changes answers.',
                logging.INFO,
            )


def _agree(whole: Tensor, continued: Tensor, dtype: torch.dtype) -> bool:
    limit = _TOLERANCE[dtype] * whole.abs().clamp(min=1)
    return bool(((whole - continued).abs() <= limit).all())


def common_beginning(rows: list[list[int]]) -> list[int]:
    """The longest beginning that all rows share.

    >>> common_beginning([[1, 2, 3], [1, 2, 4, 5]])
    [1, 2]
    """
    first, last = min(rows), max(rows)
    for place, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:place]
    return first[: min(len(first), len(last))]
