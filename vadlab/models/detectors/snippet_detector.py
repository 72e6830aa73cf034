# Shapes: b videos (or videos x crops), c crops, t snippets, d feature channels, k classes (0 is Normal).
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError

from ..checkpoints.public_layout import rename_tensors

#: Most snippets of a video that an exported method scores at once: some need memory that grows with the square.
MOST_EXPORTED = 8192


class SnippetDetector(BaseModel):
    """Base class of the methods that are trained on frozen snippet features with video labels.

    ::

        features (b, c, t, d) --fold crops--> (b*c, t, d) -> score() -> (b*c, t) --mean over crops--> (b, t)
                                                                       --each repeated snippet_len times--> frames

    A method implements :meth:`loss` and :meth:`score`. The samples' ``num_snippets`` tell real snippets from padding;
    real features may be zero.

    Args:
        snippet_len (int): Frames per snippet, for samples without their own value.
        data_preprocessor (dict | nn.Module | None): Config of the data preprocessor;
            ``dict(type='SnippetDataPreprocessor')`` by default.

    Raises:
        ConfigError: ``snippet_len`` is not a whole number of at least 1.
    """

    #: Repositories whose checkpoints :meth:`from_public` reads, for the message about an unknown layout.
    public_layouts: tuple[str, ...] = ()
    #: Per layout, in the same order: from a tensor that only this layout has to the rules that rename its tensors, see
    #: : :func:`~vadlab.models.checkpoints.public_layout.rename_tensors`. If renaming is not enough, override :
    #: :meth:`from_public`.
    public_rules: ClassVar[Mapping[str, Mapping[str, str | None]]] = {}
    #: Whether testing makes sense only with trained weights.
    needs_training = True
    #: Whether every snippet attends to all others of its video, so that time grows with the square of the length.
    attends_to_all = False

    def __init__(self, snippet_len: int = 16, data_preprocessor: dict | nn.Module | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor or dict(type='SnippetDataPreprocessor'))
        if not isinstance(snippet_len, int) or snippet_len < 1:
            raise ConfigError(f'{type(self).__name__}: snippet_len={snippet_len!r} must be a whole number >= 1.')
        self.snippet_len = snippet_len

    # ---- what a method implements ----------------------------------------------------------------------------------

    def loss(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Loss terms of a training batch.

        Args:
            feats_bctd (Tensor): Snippet features, float32, shape (B, C, T, D), zeros where padded.
            mask_bt (Tensor): True at real snippets, bool, shape (B, T).
            data_samples (list[VADDataSample]): One per video, with ``gt_label``.

        Returns:
            dict[str, Tensor]: Terms ``loss_*``, which are summed, and other values for the log.
        """
        raise NotImplementedError

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Anomaly scores of snippets; values at padding are ignored.

        Args:
            feats_btd (Tensor): Snippet features, float32, shape (B, T, D), crops of a video in consecutive rows; in
                tests, T is the length of the video.
            mask_bt (Tensor): True at real snippets, bool, shape (B, T).

        Returns:
            dict[str, Tensor]: ``scores``, probabilities, shape (B, T); optional ``logits``, the scores before the
            sigmoid, which do not saturate, shape (B, T); optional ``odds``, unbounded scores of at least 0, shape
            (B, T), of methods without probabilities: their mean over crops x gives the score x / (1 + x), which ranks
            as x does; optional ``class_scores``, probabilities with Normal at index 0, shape (B, T, K).
        """
        raise NotImplementedError

    def from_public(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a checkpoint of the authors to our names.

        Args:
            tensors (dict[str, Tensor]): The authors' state dict, without DataParallel's ``module.`` prefixes.

        Returns:
            dict[str, Tensor] | None: Our state dict; None if the layout is unknown.

        Raises:
            CheckpointError: The checkpoint has the signature of a layout, but unknown tensors.
        """
        for layout, (signature, rules) in zip(self.public_layouts, self.public_rules.items(), strict=True):
            renamed = rename_tensors(tensors, rules, signature, method=layout.rpartition('/')[2])
            if renamed is not None:
                return renamed
        return None

    # ---- what they share -------------------------------------------------------------------------------------------

    def forward(
        self, inputs: Tensor, data_samples: list[VADDataSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Any] | list[VADDataSample]:
        """Score, compute the loss, or predict.

        Args:
            inputs (Tensor): Snippet features, float32, shape (B, C, T, D), padded to the longest of the batch.
            data_samples (list[VADDataSample] | None): One per video, with ``num_snippets``; optional for ``tensor``,
                and without them all snippets are real.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            dict | list: ``tensor``: output of :meth:`score`, with B * C rows. ``loss``: the loss terms. ``predict``:
            the data samples with pred_scores and pred_logits, and pred_class_scores if the method has classes.
        """
        name = type(self).__name__
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError(f'{name}: mode={mode!r} is not one of tensor, loss, predict.')
        if data_samples is None and mode != 'tensor':
            raise ValueError(f'{name}: mode={mode!r} needs data_samples.')
        mask_bt = self.mask_of(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, mask_bt, data_samples or [])
        if mode == 'tensor':
            return self.score(inputs.flatten(0, 1), mask_bt.repeat_interleave(inputs.shape[1], 0))
        return self._write(self.predict_snippets(inputs, mask_bt), data_samples or [])

    def predict_snippets(self, feats_bctd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Predictions of snippets, averaged over crops; values at padding are ignored.

        Args:
            feats_bctd (Tensor): Snippet features, float32, shape (B, C, T, D).
            mask_bt (Tensor): True at real snippets, bool, shape (B, T).

        Returns:
            dict[str, Tensor]: ``scores`` and ``logits``, float32, shape (B, T); optional ``class_scores``, shape
            (B, T, K).
        """
        crops = feats_bctd.shape[1]
        mask_nt = mask_bt[:, None].expand(-1, crops, -1).flatten(0, 1)
        out = self.score(feats_bctd.flatten(0, 1), mask_nt)
        if 'margins' in out:  # the name of logits in version 0.1
            out = {**out, 'logits': out['margins']}
        folded = {name: value.float().unflatten(0, (-1, crops)) for name, value in out.items()}
        if 'odds' in folded:
            logits_bt = folded['odds'].mean(1).clamp_min(torch.finfo(torch.float32).tiny).log()
            scores_bt = logits_bt.sigmoid()
        else:
            scores_bt = folded['scores'].mean(1)
            logits_bt = _mean_logit(folded['logits']) if 'logits' in folded else safe_logit(scores_bt)
        found = {'scores': scores_bt, 'logits': logits_bt}
        if 'class_scores' in folded:
            found['class_scores'] = folded['class_scores'].mean(1)
        return found

    def mask_of(self, inputs: Tensor, data_samples: list[VADDataSample] | None) -> Tensor:
        """True at real snippets, bool, shape (B, T).

        Raises:
            DataError: ``num_snippets`` of a sample is less than 1 or more than the snippets in ``inputs``.
        """
        length = inputs.shape[2]
        if data_samples is None:
            return torch.ones(len(inputs), length, dtype=torch.bool, device=inputs.device)
        for sample in data_samples:
            if not 1 <= sample.num_snippets <= length:
                raise DataError(
                    f'{type(self).__name__}: video {sample.get("video_id")!r} has num_snippets={sample.num_snippets}, '
                    f'but its features have room for 1 to {length}.'
                )
        counts = torch.tensor([int(sample.num_snippets) for sample in data_samples], device=inputs.device)
        return torch.arange(length, device=inputs.device) < counts[:, None]

    def labels_of(self, data_samples: list[VADDataSample]) -> Tensor:
        """``gt_label`` of each video, int64, shape (B,), on the model's device."""
        return torch.tensor([int(sample.gt_label) for sample in data_samples], device=self.data_preprocessor.device)

    def class_shares(self, data_samples: list[VADDataSample], num_classes: int) -> Tensor:
        """Shares of the classes of each video, sum 1, float32, shape (B, K), on the model's device.

        Args:
            data_samples (list[VADDataSample]): One per video, with ``gt_classes``, or ``gt_label`` if it has one class.
            num_classes (int): Number of classes K of the model.

        Raises:
            DataError: The class of a video is unknown, or the number of classes differs.
        """
        targets = torch.zeros(len(data_samples), num_classes)
        for row, sample in zip(targets, data_samples, strict=True):
            classes, label = sample.get('gt_classes'), int(sample.gt_label)
            if classes is not None and len(classes) == len(row):
                row.copy_(classes)
            elif classes is None and 0 <= label < len(row):
                row[label] = 1
            if not row.any():
                raise DataError(
                    f'{type(self).__name__}: video {sample.get("video_id")!r} has none of the {len(row)} classes '
                    f'(gt_label={label}, gt_classes={classes}). The dataset and the model must have the same classes.'
                )
        return (targets / targets.sum(1, keepdim=True)).to(self.data_preprocessor.device)

    def split(self, data_samples: list[VADDataSample], equal: bool = False) -> tuple[Tensor, Tensor]:
        """Indices of the normal and of the abnormal videos in the batch, in the batch's order.

        Args:
            data_samples (list[VADDataSample]): One per video, with ``gt_label``; all labels except 0 are abnormal.
            equal (bool): Require equal numbers of normal and abnormal videos, at least one of each.

        Returns:
            tuple[Tensor, Tensor]: Indices of normal and of abnormal videos, int64, on the model's device.

        Raises:
            ConfigError: ``equal`` is set, and the numbers differ or are zero.
        """
        labels = [int(sample.gt_label) for sample in data_samples]
        normal, abnormal = ([i for i, x in enumerate(labels) if bool(x) is kind] for kind in (False, True))
        if equal and (len(normal) != len(abnormal) or not normal):
            raise ConfigError(
                f'{type(self).__name__} compares normal with abnormal videos one to one, but the batch holds '
                f'{len(normal)} and {len(abnormal)}. Give the training loader '
                "batch_sampler=dict(type='BalancedBatchSampler') and an even batch_size."
            )
        device = self.data_preprocessor.device
        return torch.tensor(normal, dtype=torch.long, device=device), torch.tensor(
            abnormal, dtype=torch.long, device=device
        )

    def _write(self, found: dict[str, Tensor], data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Repeat predictions of snippets to frames, and write them to the samples."""
        names = {'scores': 'pred_scores', 'logits': 'pred_logits', 'class_scores': 'pred_class_scores'}
        for i, sample in enumerate(data_samples):
            num, repeats = int(sample.num_snippets), int(sample.get('snippet_len', self.snippet_len))
            for name, value in found.items():
                sample.set_field(value[i, :num].repeat_interleave(repeats, 0), names[name])
        return data_samples


def safe_logit(scores: Tensor) -> Tensor:
    """Logits of probabilities of any shape: finite at 0 and 1, and distinct for distinct float32 scores."""
    info = torch.finfo(scores.dtype)
    return scores.clamp_min(info.tiny).log() - torch.log1p(-scores.clamp_max(1 - info.eps / 2))


def _mean_logit(logits_bct: Tensor) -> Tensor:
    """Logit of the crops' mean probability, computed from logits: the same ranking, without saturation."""
    if not torch.compiler.is_exporting() and logits_bct.shape[1] == 1:
        return logits_bct[:, 0]
    return F.logsigmoid(logits_bct).logsumexp(1) - F.logsigmoid(-logits_bct).logsumexp(1)
