# Shapes: b clips, v views of a clip that are classified separately, c channels, k classes.
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.datasets.formats.av_clip_metadata import classes_of, read_metadata
from vadlab.registry import MODELS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError


@MODELS.register_module()
class ClassificationHead(nn.Module):
    """Linear classifier of clips, single-label or multi-label.

    Single-label: softmax and cross-entropy. With ``multi_label``: a sigmoid per class and binary cross-entropy. The
    class names are part of the checkpoint.

    Args:
        in_channels (int): Channels c of the features.
        column (str): Column of the metadata with the labels; it also names the head in messages.
        metadata (str | None): CSV of the training clips; classes are the labels that occur in it, sorted.
        classes (Sequence[str] | None): The class names, instead of ``metadata``.
        multi_label (bool): A clip may have any number of classes.
        class_weights (str | None): Weights of the classes in the loss. ``inverse``: the inverse of the number of clips
            n. ``effective``: the inverse of the effective number, (1 - beta^n) / (1 - beta), Cui et al.,
            "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, arXiv:1901.05555. Both sum to k. With
            ``multi_label`` they weight only positive labels. None: equal weights.
        beta (float): Parameter of ``effective``, 0..1; 0 does not weight, towards 1 it becomes ``inverse``.
        label_smoothing (float): Share of the label that is spread over all classes, 0..1.
        dropout (float): Dropout before the linear layer, 0..1.
        loss_weight (float): Factor of the loss.

    Raises:
        ConfigError: Not exactly one of ``metadata`` and ``classes`` is given, ``class_weights`` is set without
            ``metadata``, or an option is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        column: str = 'label',
        metadata: str | None = None,
        classes: Sequence[str] | None = None,
        multi_label: bool = False,
        class_weights: str | None = None,
        beta: float = 0.999,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if (metadata is None) == (classes is None):
            raise ConfigError(f'ClassificationHead {column}: give metadata (CSV of the training clips), or classes.')
        if class_weights not in (None, 'inverse', 'effective'):
            raise ConfigError(f'ClassificationHead {column}: {class_weights=} must be inverse, effective or None.')
        if class_weights and metadata is None:
            raise ConfigError(f'ClassificationHead {column}: {class_weights=} needs metadata, to count the clips.')
        if not 0 <= label_smoothing < 1 or not 0 <= beta < 1:
            raise ConfigError(f'ClassificationHead {column}: {label_smoothing=} and {beta=} must be in 0..1, below 1.')
        counts = _count(metadata, column) if metadata is not None else None
        self.column = column
        self.classes: tuple[str, ...] = tuple(counts) if counts is not None else tuple(classes or ())
        self.multi_label = multi_label
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_channels, len(self.classes))
        weights = class_weights_of(list(counts.values()), class_weights, beta) if counts and class_weights else None
        self.register_buffer('class_weights', weights, persistent=False)

    # ---- the classes, in the checkpoint ----------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """The class names, which torch saves with the weights."""
        return {'classes': list(self.classes)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Check the class names of a checkpoint that is being loaded.

        Raises:
            CheckpointError: See :meth:`check_classes`.
        """
        self.check_classes(state)

    def check_classes(self, state: dict[str, Any], name: str = 'the checkpoint') -> None:
        """Check that a checkpoint has the same classes as this head.

        Raises:
            CheckpointError: The classes differ; the message lists the differences.
        """
        theirs, ours = list(state['classes']), list(self.classes)
        if theirs == ours:
            return
        parts = [
            f'only in {where}: {", ".join(only[:8])}{", ..." if len(only) > 8 else ""}'
            for where, only in (
                (name, [x for x in theirs if x not in ours]),
                ('the metadata', [x for x in ours if x not in theirs]),
            )
            if only
        ]
        raise CheckpointError(
            f'{name} was trained for other classes of {self.column}: {len(theirs)} there, {len(ours)} in the '
            f'metadata of the config; {"; ".join(parts) or "the same in another order"}. Use the training '
            'metadata that it was trained with.'
        )

    # ---- what it computes ------------------------------------------------------------------------------------------

    def forward(self, feats: Tensor) -> Tensor:
        """Logits, shape (..., k), from features, shape (..., c)."""
        return self.linear(self.dropout(feats))

    def scores(self, logits: Tensor, shares: Tensor | None = None) -> Tensor:
        """Class probabilities of clips.

        Args:
            logits (Tensor): Shape (b, k), or for several views (b, v, k).
            shares (Tensor | None): Weight of each view, shape (b, v); rows sum to 1.

        Returns:
            Tensor: float32, shape (b, k); for several views, their weighted mean.
        """
        scores = logits.float().sigmoid() if self.multi_label else logits.float().softmax(-1)
        return scores if shares is None else (scores * shares[..., None]).sum(1)

    def loss(self, logits: Tensor, targets: Tensor, shares: Tensor | None = None) -> Tensor:
        """Mean loss of the clips; several views have one loss each.

        Args:
            logits (Tensor): Shape (b, k), or for several views (b, v, k).
            targets (Tensor): Output of :meth:`targets_of`.
            shares (Tensor | None): See :meth:`scores`.

        Returns:
            Tensor: float32, scalar. Clips with an unknown label (-1) are skipped.
        """
        logits = logits.float()
        if shares is None:
            logits, shares = logits[:, None], logits.new_ones(len(logits), 1)
        known_b = targets >= 0 if targets.ndim == 1 else targets.new_ones(len(targets), dtype=torch.bool)
        views = logits.shape[1]
        loss_bv = self._row_losses(logits.flatten(0, 1), targets.repeat_interleave(views, 0)).unflatten(0, (-1, views))
        loss_b = (loss_bv * shares).sum(1).masked_fill(~known_b, 0)
        return self.loss_weight * loss_b.sum() / known_b.sum().clamp(min=1)

    def _row_losses(self, logits_nk: Tensor, targets: Tensor) -> Tensor:
        """Loss of each row, shape (n,)."""
        smoothing = self.label_smoothing
        if not self.multi_label:
            return (
                F.cross_entropy(
                    logits_nk, targets, self.class_weights, ignore_index=-1, reduction='none', label_smoothing=smoothing
                )
                if targets.ndim == 1
                else F.cross_entropy(
                    logits_nk, targets, self.class_weights, reduction='none', label_smoothing=smoothing
                )
            )
        targets = targets * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(
            logits_nk, targets, pos_weight=self.class_weights, reduction='none'
        ).mean(1)

    def targets_of(self, labels: Sequence[Tensor], device: torch.device | str = 'cpu') -> Tensor:
        """Targets of a batch for :meth:`loss`.

        Args:
            labels (Sequence[Tensor]): One label per clip: a class index, int64, shape (), -1 if unknown; or shares of
                the classes, float, shape (k,), for several labels or mixed clips.
            device (torch.device | str): Device of the result.

        Returns:
            Tensor: int64, shape (b,) if all are indices, else float32, shape (b, k).

        Raises:
            DataError: A label is not a class index, or is for another number of classes.
        """
        k = len(self.classes)
        for label in labels:
            fits = tuple(label.shape) == (k,) if label.is_floating_point() else label.ndim == 0 and -1 <= label < k
            if not fits or (self.multi_label and not label.is_floating_point()):
                raise DataError(
                    f'ClassificationHead {self.column}: label {label.tolist()} does not fit {k} classes'
                    f'{" of which a clip may have several" if self.multi_label else ""}. The data set and the model '
                    'must read the same training metadata, and agree on multi_label.'
                )
        if not any(label.is_floating_point() for label in labels):
            return torch.stack(list(labels)).to(device)
        rows = [x.float() if x.is_floating_point() else F.one_hot(x.clamp(min=0), k).float() for x in labels]
        return torch.stack(rows).to(device)


def class_weights_of(counts: Sequence[int], kind: str, beta: float = 0.999) -> Tensor:
    """Class weights from the number of clips, float32, shape (k,), sum k; see :class:`ClassificationHead`.

    Example:
        >>> class_weights_of([1, 3], 'inverse')
        tensor([1.5000, 0.5000])
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    if kind == 'effective' and beta > 0:
        numbers = (1 - beta**numbers) / (1 - beta)
    elif kind == 'effective':
        numbers = torch.ones_like(numbers)
    weights = 1 / numbers
    return (weights / weights.sum() * len(weights)).float()


def _count(metadata: str, column: str) -> dict[str, int]:
    """Number of clips per class in the training metadata, sorted by class."""
    records = [record for record in read_metadata(metadata, [column]) if record.split == 'train']
    counts = Counter(label for record in records for label in record.labels(column))
    return {name: counts[name] for name in classes_of(records, column, metadata)}
