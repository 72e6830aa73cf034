# Shapes: b clips of the batch, m of them with a modality, v modalities, d width.
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.modality_mean import ModalityMean
from ..layers.modality_tokens import ModalityTokens


@MODELS.register_module()
class LateFusion(nn.Module):
    """Baseline fusion: classifies each modality separately and averages the results.

    ``logits`` averages before softmax and applies the loss to the average. This is the late fusion that Nagrani et al.
    (NeurIPS 2021, arXiv:2107.00135, section 4) compare MBT with. ``probabilities`` averages after softmax, and each
    modality has its own loss. This is the sum rule of Kittler et al., "On Combining Classifiers", PAMI 1998, as
    Simonyan and Zisserman (NIPS 2014, arXiv:1406.2199) fuse two streams.

    The mean token of each modality goes through a separate layer, so that all modalities can share one classifier. A
    clip is averaged over the modalities that it has.

    Args:
        in_channels (Mapping[str, int]): Channels of each modality's tokens.
        width (int): Channels d.
        average (str): ``logits`` or ``probabilities``.

    Raises:
        ConfigError: ``average`` is neither ``logits`` nor ``probabilities``.
    """

    def __init__(self, in_channels: Mapping[str, int], width: int = 512, average: str = 'logits') -> None:
        super().__init__()
        if average not in ('logits', 'probabilities'):
            raise ConfigError(f'LateFusion: average={average!r} must be logits or probabilities.')
        self.width = width
        self.average = average
        self.streams = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width), nn.GELU())
                for name, channels in in_channels.items()
            }
        )

    def forward(self, found: Mapping[str, ModalityTokens], batch_size: int) -> Tensor | tuple[Tensor, Tensor]:
        """The part of the fusion that comes before the classifier.

        Args:
            found (Mapping[str, ModalityTokens]): The modalities that at least one clip of the batch has.
            batch_size (int): Clips b.

        Returns:
            Tensor | tuple: For ``logits``, the mean feature, shape (b, d); a linear classifier of it gives the mean of
            the modalities' logits. For ``probabilities``, the features of each modality, shape (b, v, d), and the
            weight of each modality in each clip, shape (b, v). Features are zeros for a clip without any modality.
        """
        device = next(self.parameters()).device
        nothing = torch.zeros(batch_size, self.width, device=device)
        parts = {name: (self.streams[name](modality.mean()), modality.rows) for name, modality in found.items()}
        if self.average == 'logits':
            mean = ModalityMean(batch_size)
            for feats, rows in parts.values():
                mean.add(feats, rows)
            return mean.result(nothing)
        views, present = [], torch.zeros(batch_size, len(self.streams), device=device)
        for place, name in enumerate(self.streams):
            feats, rows = parts.get(name, (nothing, None))
            views.append(feats if rows is None else nothing.to(feats.dtype).index_copy(0, rows, feats))
            if name in parts:
                present[slice(None) if rows is None else rows, place] = 1
        present = torch.where(present.any(1, keepdim=True), present, 1.0)
        return torch.stack(views, 1), present / present.sum(1, keepdim=True)
