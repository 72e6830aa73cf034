"""Grounding: find the box that a caption describes.

Shape suffixes: t frames, d and e channels before and after the projection, hw grid, p proposals, r captions.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.roi_align import RoIAlign
from ..layers.track_roi_pool import grid_scale

_MAX_ELEMENTS = 2**24  # proposal embeddings per chunk: 64 MB


@MODELS.register_module()
class GroundingHead(nn.Module):
    """Finds the proposal that best matches each caption in each frame.

    RoIAlign is linear in the features. So features are projected on the grid first, which has fewer cells than there
    are proposals. If all frames have the same boxes, pooling is one matrix product; the matrix holds RoIAlign's
    weights, which are obtained by pooling one-hot features.

    The mean feature of a box hardly changes when the box covers only a part of an object, so the box with the highest
    cosine tends to be too small. With ``area_power``, cosines are multiplied by a power of the area: of nearly equal
    boxes, the larger one wins.

    Args:
        proposals (dict): Config of the proposals, such as :class:`GridProposals` or :class:`MMDetProposals`.
        area_power (float): Exponent of a box's share of the frame's area. Its cosine is multiplied by this power, >= 0;
            0 for the cosine alone.

    Raises:
        ConfigError: ``area_power`` is negative.
    """

    def __init__(self, proposals: dict | nn.Module, area_power: float = 0.0) -> None:
        super().__init__()
        if area_power < 0:
            raise ConfigError(f'GroundingHead: area_power must be >= 0, got {area_power}.')
        self.area_power = area_power
        self.proposals = proposals if isinstance(proposals, nn.Module) else MODELS.build(proposals)
        self.roi_align = RoIAlign()

    def forward(self, dense: Tensor, pixels: Tensor, projection: nn.Module, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Best box of each caption in each frame.

        Args:
            dense (Tensor): Features of the frames of one video, shape (t, d, h, w).
            pixels (Tensor): The frames, uint8 RGB, shape (t, 3, H, W), for proposals that need them.
            projection (nn.Module): Linear map from d to e channels, without a bias.
            captions (Tensor): L2-normalised, shape (r, e).

        Returns:
            tuple: Best boxes, xyxyn, float32, shape (r, t, 4); and their cosine similarities, -1..1, shape (r, t).
        """
        grid_tehw = projection(dense.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).float()
        best, scores = [], []
        for own, pooled_tpe in self._proposals_of(grid_tehw, pixels):
            cosines_tpr = F.normalize(pooled_tpe, dim=-1) @ captions.to(pooled_tpe).T
            top_tr, which_tr = cosines_tpr.max(dim=1)
            if self.area_power:
                areas_tp1 = (own[..., 2:] - own[..., :2]).prod(dim=-1, keepdim=True)
                which_tr = (cosines_tpr.clamp(min=0) * areas_tp1**self.area_power).argmax(dim=1)
                top_tr = cosines_tpr.gather(1, which_tr[:, None])[:, 0]
            best.append(own.gather(1, which_tr[..., None].expand(-1, -1, 4)))
            scores.append(top_tr)
        return torch.cat(best).transpose(0, 1), torch.cat(scores).T

    def detect(
        self, grid_tehw: Tensor, pixels: Tensor, wanted: Tensor, others: Tensor, most: int = 3, max_iou: float = 0.3
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Proposals that match a wanted text better than all other texts, without overlapping ones.

        Args:
            grid_tehw (Tensor): Patch grids in the space of the texts, shape (t, e, h, w).
            pixels (Tensor): The frames, uint8 RGB, shape (t, 3, H, W), for proposals that need them.
            wanted (Tensor): Wanted texts, L2-normalised, shape (r, e).
            others (Tensor): Texts of normal content, L2-normalised, shape (n, e).
            most (int): Most boxes per frame.
            max_iou (float): A box that overlaps a better one by more is dropped.

        Returns:
            list[tuple]: Per frame, best first: boxes, xyxyn, shape (m, 4); how much the cosine of the best wanted text
            exceeds that of the best other one, > 0, shape (m,); and the index of the wanted text, shape (m,).
        """
        found = []
        for own_tp4, pooled_tpe in self._proposals_of(grid_tehw, pixels):
            units_tpe = F.normalize(pooled_tpe, dim=-1)
            best_tp, which_tp = (units_tpe @ wanted.to(units_tpe).T).max(dim=-1)
            gain_tp = best_tp - (units_tpe @ others.to(units_tpe).T).amax(dim=-1)
            for boxes, gains, which in zip(own_tp4, gain_tp, which_tp, strict=True):
                kept: list[int] = []
                candidates = gains.argsort(descending=True)
                candidates = candidates[gains[candidates] > 0]
                while len(candidates) and len(kept) < most:
                    first = candidates[0]
                    kept.append(int(first))
                    candidates = candidates[box_iou(boxes[first][None], boxes[candidates])[0] <= max_iou]
                rows = torch.tensor(kept, dtype=torch.long, device=boxes.device)
                found.append((boxes[rows], gains[rows], which[rows]))
        return found

    def _proposals_of(self, grid_tehw: Tensor, pixels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Boxes (t, p, 4) of some frames and their features (t, p, e), chunk by chunk."""
        boxes = self.proposals(pixels).to(grid_tehw)
        per_frame = boxes.shape[-2] * grid_tehw.shape[1]
        chunk = max(_MAX_ELEMENTS // per_frame, 1)
        weights_ps = self._pooling_matrix(grid_tehw, boxes) if boxes.ndim == 2 else None
        for start in range(0, len(grid_tehw), chunk):
            part = grid_tehw[start : start + chunk]
            if weights_ps is not None:
                yield boxes.expand(len(part), -1, -1), weights_ps @ part.flatten(2).transpose(1, 2)
            else:
                own = boxes[start : start + chunk]
                yield own, self._pool(part, own)

    def _pool(self, grid_tehw: Tensor, boxes_tp4: Tensor) -> Tensor:
        t, p = boxes_tp4.shape[:2]
        rows = torch.arange(t, device=boxes_tp4.device).repeat_interleave(p)[:, None]
        rois = torch.cat([rows.to(boxes_tp4), boxes_tp4.flatten(0, 1) * grid_scale(grid_tehw).to(boxes_tp4)], dim=1)
        return self.roi_align(grid_tehw, rois).flatten(1).unflatten(0, (t, p))

    def _pooling_matrix(self, grid_tehw: Tensor, boxes_p4: Tensor) -> Tensor:
        h, w = grid_tehw.shape[-2:]
        one_hot = torch.eye(h * w, device=grid_tehw.device).view(1, h * w, h, w)
        return self._pool(one_hot, boxes_p4[None])[0]


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of each pair of boxes: x1, y1, x2, y2 of shapes (m, 4) and (n, 4); the result has the shape (m, n)."""
    top_left = torch.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=1e-12)
