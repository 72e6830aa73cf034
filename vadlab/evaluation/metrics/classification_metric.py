"""Classification metrics for clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.option_checks import require_file

from ..functional import classification
from ..mammalps_file import write_mammalps_results
from .protocol_metric import ProtocolMetric, as_array, field_of

_NAMES = ('top1', 'macro_f1', 'map')


@dataclass(frozen=True)
class HeadPredictions:
    """Predictions and labels of one head on a test set.

    Attributes:
        clip_ids (tuple[str, ...]): Ids of the N clips with a known label.
        classes (tuple[str, ...]): Names of the C classes.
        scores (np.ndarray): Probabilities, shape (N, C).
        labels (np.ndarray): bool, shape (N, C).
        multi_label (bool): Whether a clip may have several labels.
    """

    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    scores: np.ndarray
    labels: np.ndarray
    multi_label: bool

    def of_classes(self, names: Sequence[str]) -> 'HeadPredictions':
        """The subset of clips with one of these classes; all classes may still be predicted.

        Raises:
            DataError: A name is not a class of the head, or no clip has any of them.
        """
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise DataError(f'{unknown[0]!r} is not a class; classes are {", ".join(self.classes)}')
        kept = np.flatnonzero(self.labels[:, [self.classes.index(name) for name in names]].any(axis=1))
        if not len(kept):
            raise DataError(f'no tested clip is of {", ".join(names)}')
        ids = tuple(self.clip_ids[i] for i in kept)
        return HeadPredictions(ids, self.classes, self.scores[kept], self.labels[kept], self.multi_label)


@METRICS.register_module()
class ClassificationMetric(ProtocolMetric):
    """Top-1, macro-F1 and mAP per head, from ``pred_scores`` and ``gt_labels``, both dicts by head.

    With several heads there is also their mean, ``mean/top1`` and so on: one number to select a checkpoint.
    Means are over the classes of tested clips; the protocol has the number of skipped classes. A clip with unknown
    label (-1) does not count for that head.

    Args:
        heads (Sequence[str] | None): Heads to evaluate, in this order; None for all heads of the clips.
        threshold (float): Probability from which a label is predicted by a multi-label head, 0..1.
        tsv (str | None): Also write a results file in the format of MammAlps' first benchmark, see
            :func:`~vadlab.evaluation.mammalps_file.write_mammalps_results`; ``heads`` give the order of its columns.
        prefix (str | None): Prefix of ``HEAD/top1``; none if None.

    Raises:
        ConfigError: The threshold is outside 0..1, ``tsv`` cannot be written, or ``tsv`` is given without ``heads``.
    """

    default_prefix = ''
    higher_is_better = dict.fromkeys(_NAMES, True)

    def __init__(
        self,
        heads: Sequence[str] | None = None,
        threshold: float = 0.5,
        tsv: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix)
        if not 0 <= threshold <= 1:
            raise ConfigError(f'threshold is {threshold}; a probability lies in 0..1')
        if tsv is not None and not heads:
            raise ConfigError('ClassificationMetric: tsv needs heads, which order its columns')
        require_file(tsv, 'tsv')
        self.heads = tuple(heads) if heads else None
        self.threshold = threshold
        self.tsv = tsv
        #: Predictions of the last evaluation by head, for pictures and tables; on the main process.
        self.predictions: dict[str, HeadPredictions] = {}

    @property
    def protocol(self) -> dict[str, str]:
        """How each number is computed, by its full key; the number of counted classes is known after a test."""
        texts = {}
        for head, found in self.predictions.items():
            lacking = int((~found.labels.any(axis=0)).sum())
            over = f'mean over {len(found.classes) - lacking} classes, {lacking} without clips skipped'
            decided = f'probability >= {self.threshold:g}' if found.multi_label else 'highest probability'
            theirs = 'one of its labels' if found.multi_label else 'its label'
            texts[f'{head}/top1'] = f'share of {len(found.scores)} clips whose most probable class is {theirs}'
            texts[f'{head}/macro_f1'] = f'F1 of each class by {decided}; {over}'
            texts[f'{head}/map'] = f'step-wise average precision of each class against the rest; {over}'
        if len(self.predictions) > 1:
            texts |= {f'mean/{name}': f'mean over {", ".join(self.predictions)}' for name in _NAMES}
        return self.full_keys(texts)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Probabilities and labels of one clip, by head."""
        name = type(self).__name__
        clip = str(sample.get('clip_id'))
        named = {**sample, 'video_id': clip}
        scores, labels = field_of(named, 'pred_scores', name), field_of(named, 'gt_labels', name)
        heads = self.heads or tuple(labels)
        for field, values in (('pred_scores', scores), ('gt_labels', labels)):
            lacking = [head for head in heads if head not in values]
            if lacking:
                raise DataError(
                    f'{name}: {field} of clip {clip} has no head {lacking[0]!r}, only {", ".join(values) or "none"}'
                )
        return {
            'sample_id': clip,
            'scores': {head: np.asarray(as_array(scores[head])) for head in heads},
            'labels': {head: np.asarray(as_array(labels[head])) for head in heads},
        }

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the numbers of each head over all clips."""
        results = self.checked(results)
        self.predictions = {head: self._head(head, results) for head in results[0]['scores']}
        numbers = {}
        for head, found in self.predictions.items():
            f1 = classification.class_f1(
                classification.predicted_labels(found.scores, found.multi_label, self.threshold), found.labels
            )
            precision = classification.class_average_precision(found.scores, found.labels)
            numbers[f'{head}/top1'] = classification.top_1(found.scores, found.labels)
            numbers[f'{head}/macro_f1'] = classification.mean_over_classes(f1)[0]
            numbers[f'{head}/map'], lacking = classification.mean_over_classes(precision)
            if lacking:
                names = [found.classes[i] for i in np.flatnonzero(~found.labels.any(axis=0))]
                self.log(f'{lacking} of {len(found.classes)} classes of {head} have no clip and do not count: '
                         f'{", ".join(names[:8])}{", ..." if lacking > 8 else ""}')  # fmt: skip
        if len(self.predictions) > 1:
            numbers |= {
                f'mean/{name}': float(np.mean([numbers[f'{head}/{name}'] for head in self.predictions]))
                for name in _NAMES
            }
        if self.tsv is not None:
            self._write_tsv(self.tsv)
        return numbers

    def _head(self, head: str, results: list[dict[str, Any]]) -> HeadPredictions:
        known = [r for r in results if r['labels'][head].ndim == 1 or r['labels'][head] >= 0]
        if not known:
            raise DataError(f'ClassificationMetric: no tested clip has a label of {head}')
        if len(known) < len(results):
            self.log(f'{len(results) - len(known)} of {len(results)} clips have no known {head} and do not count')
        scores = np.stack([r['scores'][head] for r in known])
        multi_label = known[0]['labels'][head].ndim == 1
        labels = classification.label_matrix(np.stack([r['labels'][head] for r in known]), scores.shape[1])
        names = ((self.dataset_meta or {}).get('classes') or {}).get(head) or range(scores.shape[1])
        return HeadPredictions(
            tuple(r['sample_id'] for r in known), tuple(str(name) for name in names), scores, labels, multi_label
        )

    def _write_tsv(self, path: str) -> None:
        tables = self.predictions
        ids = next(iter(tables.values())).clip_ids
        if any(found.clip_ids != ids for found in tables.values()):
            raise DataError(f'{path} requires all labels of all clips, but some have no label of {", ".join(tables)}')
        write_mammalps_results(
            path,
            ids,
            {head: found.scores for head, found in tables.items()},
            {head: found.labels for head, found in tables.items()},
            {head: found.multi_label for head, found in tables.items()},
        )
