# Shapes: b videos (or videos x crops), p videos of one kind, c crops, t snippets, e channels, k chosen snippets.
from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vadlab.structures import VADDataSample

from ..losses.probability_bce import probability_bce
from .snippet_detector import SnippetDetector


class Chosen(NamedTuple):
    """A training batch and the snippets that its losses use.

    Attributes:
        normal (Tensor): Positions of the normal videos in the batch, shape (P,).
        abnormal (Tensor): Positions of the abnormal videos, as many.
        feats_bcte (Tensor): Features that the scores are computed from, float32, shape (B, C, T, E).
        scores_bt (Tensor): Scores, mean over crops, shape (B, T).
        top_normal (Tensor): Chosen snippets of the normal videos, int64, shape (P, K).
        top_abnormal (Tensor): Chosen snippets of the abnormal videos, int64, shape (P, K).
        loss_score (Tensor): Cross-entropy of the mean score of each video's chosen snippets, scalar.
    """

    normal: Tensor
    abnormal: Tensor
    feats_bcte: Tensor
    scores_bt: Tensor
    top_normal: Tensor
    top_abnormal: Tensor
    loss_score: Tensor


class MagnitudeDetector(SnippetDetector):
    """Base of methods that choose the snippets whose features have the largest norms, such as RTFM and MGFN.

    A method sets ``topk`` and ``dropout``, and implements :meth:`_run`.
    """

    topk: int
    dropout: nn.Dropout

    @abstractmethod
    def _run(self, feats_btd: Tensor, mask_bt: Tensor) -> tuple[Tensor, Tensor]:
        """Features, shape (b, t, e), and logits, shape (b, t)."""

    def score(self, feats_btd: Tensor, mask_bt: Tensor) -> dict[str, Tensor]:
        """Scores and logits of snippets; see :meth:`SnippetDetector.score`."""
        logits_bt = self._run(feats_btd, mask_bt)[1].float()
        return {'scores': logits_bt.sigmoid(), 'logits': logits_bt}

    def choose(self, feats_bctd: Tensor, mask_bt: Tensor, data_samples: list[VADDataSample]) -> Chosen:
        """Run a training batch, and choose snippets; the arguments are those of :meth:`SnippetDetector.loss`.

        Raises:
            ConfigError: The batch does not have as many normal as abnormal videos.
        """
        normal, abnormal = self.split(data_samples, equal=True)
        crops = feats_bctd.shape[1]
        feats, logits = self._run(feats_bctd.flatten(0, 1), mask_bt.repeat_interleave(crops, 0))
        feats_bcte = feats.float().unflatten(0, (-1, crops))
        scores_bt = logits.float().sigmoid().unflatten(0, (-1, crops)).mean(1)
        magnitudes_bt = feats_bcte.norm(dim=-1).mean(1)

        top_abnormal = self._choose(magnitudes_bt[abnormal], mask_bt[abnormal])
        top_normal = self._choose(magnitudes_bt[normal], mask_bt[normal])
        score_abnormal_p = scores_bt[abnormal].gather(1, top_abnormal).mean(1)
        score_normal_p = scores_bt[normal].gather(1, top_normal).mean(1)
        targets = torch.cat([torch.zeros_like(score_normal_p), torch.ones_like(score_abnormal_p)])
        loss_score = probability_bce(torch.cat([score_normal_p, score_abnormal_p]), targets)
        return Chosen(normal, abnormal, feats_bcte, scores_bt, top_normal, top_abnormal, loss_score)

    def _choose(self, magnitudes_pt: Tensor, mask_pt: Tensor) -> Tensor:
        """Indices of the k snippets with the largest magnitudes after dropout, int64, shape (p, k)."""
        shown_pt = magnitudes_pt * self.dropout(torch.ones_like(magnitudes_pt))
        k = min(self.topk, shown_pt.shape[1])
        return shown_pt.masked_fill(~mask_pt, float('-inf')).topk(k, dim=1).indices
