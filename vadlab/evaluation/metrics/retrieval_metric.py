"""Metric for retrieval of captions from videos or regions, and vice versa."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError, DataError

from ..functional import retrieval
from .protocol_metric import ProtocolMetric, as_array, field_of

# Items, and the keys of their two directions: item to caption, caption to item.
DIRECTIONS = {'video': ('video2caption', 'caption2video'), 'region': ('region', 'caption2region')}


@METRICS.register_module()
class RetrievalMetric(ProtocolMetric):
    """R@k and median rank, both directions, for whole videos and for regions.

    All test captions are the gallery; all captions with the same text (ignoring case and spacing) count as hits.
    Keys: ``video2caption/r@1``, ``caption2video/r@1``, ``region/r@1`` (region to caption) and
    ``caption2region/r@1``; ``r@5``, ``r@10``, ``medr`` and ``chance_r@1`` (R@1 of a random ranking) accordingly.

    Args:
        items (Sequence[str]): ``video``, ``region`` or both.
        topk (Sequence[int]): The k of R@k.
        prefix (str | None): Prefix of the keys, which are complete without one.
    """

    def __init__(
        self,
        items: Sequence[str] = ('video', 'region'),
        topk: Sequence[int] = (1, 5, 10),
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        if isinstance(items, str) or not items or not set(items) <= set(DIRECTIONS):
            raise ConfigError(f"items is {items!r}; give a list of 'video', 'region' or both")
        if not topk or any(not isinstance(k, int) or k < 1 for k in topk):
            raise ConfigError(f'topk is {topk!r}; give a list of whole numbers from 1, such as (1, 5, 10)')
        self.items = tuple(items)
        self.topk = tuple(topk)
        names = [name for item in items for name in DIRECTIONS[item]]
        self.higher_is_better = {f'{name}/r@{k}': True for name in names for k in self.topk}
        self.higher_is_better |= {f'{name}/medr': False for name in names}

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key."""
        texts: dict[str, str] = {}
        for item in self.items:
            for name, query, found in zip(DIRECTIONS[item], (item, 'caption'), ('caption', item), strict=True):
                rule = f'{query} to all test {found}s, same text is a hit, ties count against'
                texts |= {f'{name}/r@{k}': f'hit in the first {k}; {rule}' for k in self.topk}
                texts[f'{name}/medr'] = f'median rank of the first hit; {rule}'
                texts[f'{name}/chance_r@1'] = 'r@1 of a random ranking: mean share of the gallery that is a hit'
        return self.full_keys(texts)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Embeddings and captions of one video; empty without captions or regions."""
        name = type(self).__name__
        result: dict[str, Any] = {'sample_id': str(field_of(sample, 'video_id', name))}
        caption = sample.get('gt_caption')
        if 'video' in self.items and caption and caption.strip():
            embeds = [np.asarray(field_of(sample, f'pred_{what}_embed', name))[None] for what in ('video', 'caption')]
            result['video'] = ([caption], *embeds)
        regions = sample.get('gt_regions')
        captions = list(regions.get('captions', ())) if regions is not None else []
        if 'region' in self.items and captions:
            predicted = field_of(sample, 'pred_regions', name)
            embeds = [as_array(predicted.get(field)) for field in ('embeds', 'caption_embeds')]
            for field, embed in zip(('embeds', 'caption_embeds'), embeds, strict=True):
                if embed is None or np.ndim(embed) != 2 or len(embed) != len(captions):
                    shape = 'is missing' if embed is None else f'has the shape {np.shape(embed)}'
                    raise DataError(
                        f'{result["sample_id"]}: pred_regions.{field} {shape}; expected one row for each of its '
                        f'{len(captions)} regions'
                    )
            result['region'] = (captions, *embeds)
        return result

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all videos and regions; NaN if there are no such captions."""
        results = self.checked(results)
        metrics: dict[str, float] = {}
        for item in self.items:
            found = [result[item] for result in results if item in result]
            if not found:
                self.log(f'{item} retrieval is NaN: no test sample has a {item} caption')
            elif item == 'video' and len(found) < len(results):
                self.log(f'{len(results) - len(found)} of {len(results)} videos have no caption and are left out')
            for name, reverse in zip(DIRECTIONS[item], (False, True), strict=True):
                numbers = self._rank(found, reverse) if found else dict.fromkeys(self._names, float('nan'))
                metrics |= {f'{name}/{key}': value for key, value in numbers.items()}
        return metrics

    @property
    def _names(self) -> list[str]:
        return [f'r@{k}' for k in self.topk] + ['medr', 'chance_r@1']

    def _rank(self, found: list[tuple[list[str], np.ndarray, np.ndarray]], reverse: bool) -> dict[str, float]:
        """Compute the numbers of one direction; with ``reverse``, captions are the queries."""
        groups = retrieval.text_groups([caption for captions, _, _ in found for caption in captions])
        queries, gallery = (np.concatenate([one[i] for one in found]) for i in ((2, 1) if reverse else (1, 2)))
        ranks = retrieval.retrieval_ranks(queries, gallery, groups, groups)
        numbers = [retrieval.recall_at(ranks, k) for k in self.topk]
        numbers += [float(np.median(ranks)), retrieval.chance_recall_at_1(groups, groups)]
        return dict(zip(self._names, numbers, strict=True))
