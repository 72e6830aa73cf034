# Shapes: b clips of the batch, d width.
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS

from ..layers.modality_tokens import ModalityTokens


@MODELS.register_module()
class ConcatFusion(nn.Module):
    """Baseline fusion: concatenates one vector per modality and applies one hidden layer.

    A learnt vector replaces a modality that a clip does not have.

    Args:
        in_channels (Mapping[str, int]): Channels of each modality's tokens.
        width (int): Channels d of each modality's vector, and of the result.
    """

    def __init__(self, in_channels: Mapping[str, int], width: int = 512) -> None:
        super().__init__()
        self.width = width
        self.projections = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
                for name, channels in in_channels.items()
            }
        )
        self.missing = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width)) for name in in_channels})
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(len(in_channels) * width, width), nn.GELU())

    def forward(self, found: Mapping[str, ModalityTokens], batch_size: int) -> Tensor:
        """Fuse the modalities of each clip.

        Args:
            found (Mapping[str, ModalityTokens]): The modalities that at least one clip of the batch has.
            batch_size (int): Clips b.

        Returns:
            Tensor: One feature per clip, shape (b, d).
        """
        parts = []
        for name, projection in self.projections.items():
            part_bd = self.missing[name].expand(batch_size, -1)
            if name in found:
                feats, rows = projection(found[name].mean()), found[name].rows
                part_bd = feats if rows is None else part_bd.to(feats.dtype).index_copy(0, rows, feats)
            parts.append(part_bd)
        return self.mix(torch.cat(parts, 1))
