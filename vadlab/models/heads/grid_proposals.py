import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


@MODELS.register_module()
class GridProposals(nn.Module):
    """Proposals on a regular grid, the same for every frame: all sizes and aspect ratios.

    Args:
        sizes (Sequence[float]): Square roots of the boxes' areas, as fractions of the frame, in (0, 1].
        aspect_ratios (Sequence[float]): Width divided by height in normalised units, > 0; boxes are clipped to the
            frame.
        step (float): Maximum distance between neighbours, divided by their size, in (0, 1]. At 1/3, any object of the
            size of a box overlaps with a box by an IoU of at least (5/6)**2 / (2 - (5/6)**2) = 0.53.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __init__(
        self,
        sizes: Sequence[float] = (0.15, 0.25, 0.4, 0.6, 0.85),
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        step: float = 1 / 3,
    ) -> None:
        super().__init__()
        if not sizes or not all(0 < s <= 1 for s in sizes) or not 0 < step <= 1:
            raise ConfigError(f'GridProposals: sizes and step lie in (0, 1]; got sizes={sizes}, step={step}.')
        if not aspect_ratios or min(aspect_ratios) <= 0:
            raise ConfigError(f'GridProposals: aspect_ratios must be positive, got {aspect_ratios}.')
        shapes = {(min(s * r**0.5, 1.0), min(s / r**0.5, 1.0)) for s in sizes for r in aspect_ratios}
        grids = [self._boxes_of_size(w, h, step) for w, h in sorted(shapes)]
        self.register_buffer('boxes', torch.cat(grids), persistent=False)

    @staticmethod
    def _boxes_of_size(w: float, h: float, step: float) -> Tensor:
        x = torch.linspace(0, 1 - w, math.ceil((1 - w) / (w * step)) + 1)
        y = torch.linspace(0, 1 - h, math.ceil((1 - h) / (h * step)) + 1)
        corner = torch.stack(torch.meshgrid(x, y, indexing='ij'), dim=-1).flatten(0, 1)
        return torch.cat([corner, corner + torch.tensor([w, h])], dim=1).clamp(0, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Boxes of a grid for frames.

        Args:
            pixels (Tensor): Frames, uint8 RGB, shape (T, 3, H, W); unused.

        Returns:
            Tensor: xyxyn, float32, shape (P, 4), the same for all frames.
        """
        return self.boxes
