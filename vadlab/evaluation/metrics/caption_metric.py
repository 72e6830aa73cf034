"""Metric for captions."""

from collections.abc import Mapping
from typing import Any

from vadlab.registry import METRICS
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.errors import DataError

from ..functional.captions.caption_scores import NAMES, caption_protocol, caption_scores
from ..functional.captions.wordnet import NO_WORDNET, WordNet
from .protocol_metric import ProtocolMetric


@METRICS.register_module()
class CaptionMetric(ProtocolMetric):
    """BLEU-1 to 4, METEOR, ROUGE-L, CIDEr and CIDEr-D of ``pred_caption`` against ``gt_captions``.

    Args:
        wordnet (str | None): WordNet's folder or ``.zip``, for METEOR's synonym stage; ``auto`` searches the folders of
            NLTK and Debian, and skips the stage if there is none; None skips it.
        prefix (str | None): Prefix of the keys; ``caption`` if None.
    """

    default_prefix = 'caption'
    higher_is_better = dict.fromkeys(NAMES, True)

    def __init__(self, wordnet: str | None = 'auto', prefix: str | None = None) -> None:
        super().__init__(prefix)
        self.wordnet = WordNet.find() if wordnet == 'auto' else WordNet(wordnet) if wordnet else None
        self._is_missed = wordnet == 'auto' and self.wordnet is None
        self._num_references: list[int] = []

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key; the number of references is known after a test."""
        return self.full_keys(caption_protocol(self._num_references, self.wordnet))

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Caption and references of one image."""
        image = str(sample.get('image_id'))
        caption, references = sample.get('pred_caption'), sample.get('gt_captions')
        if not isinstance(caption, str):
            raise DataError(f'CaptionMetric: the model predicts no pred_caption (text) for image {image}: {caption!r}')
        if not references or not all(isinstance(reference, str) for reference in references):
            raise DataError(f'CaptionMetric: image {image} has no gt_captions (a list of texts): {references!r}')
        return {'sample_id': image, 'caption': caption, 'references': list(references)}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers over all images."""
        results = self.checked(results)
        captions, references = [r['caption'] for r in results], [r['references'] for r in results]
        self._num_references = [len(found) for found in references]
        empty = [result['sample_id'] for result in results if not ptb_tokenize(result['caption'])]
        if empty:
            self.log(
                f'{len(empty)} of {len(results)} captions have no word in them and score 0 (first: image {empty[0]})'
            )
        if len(results) == 1:
            self.log('CIDEr of a single image is 0: no word is rarer than another')
        if self._is_missed:
            self.log(NO_WORDNET)
            self._is_missed = False  # once
        return caption_scores(captions, references, self.wordnet).numbers
