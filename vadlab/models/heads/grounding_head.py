"""Grounding: find the box that a caption describes.

Shape suffixes: t frames, d and e channels before and after the projection, hw grid, p proposals, r captions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS

from ..layers.roi_align import RoIAlign
from ..layers.track_roi_pool import grid_scale

_MAX_ELEMENTS = 2**24  # proposal embeddings per chunk: 64 MB


@MODELS.register_module()
class GroundingHead(nn.Module):
    """Finds the proposal that best matches each caption in each frame.

    RoIAlign is linear in the features. So features are projected on the grid first, which has fewer cells than there
    are proposals. If all frames have the same boxes, pooling is one matrix product; the matrix holds RoIAlign's
    weights, which are obtained by pooling one-hot features.

    Args:
        proposals (dict): Config of the proposals, such as :class:`GridProposals` or :class:`MMDetProposals`.
    """

    def __init__(self, proposals: dict | nn.Module) -> None:
        super().__init__()
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
        boxes = self.proposals(pixels).to(grid_tehw)
        per_frame = boxes.shape[-2] * grid_tehw.shape[1]
        chunk = max(_MAX_ELEMENTS // per_frame, 1)
        weights_ps = self._pooling_matrix(grid_tehw, boxes) if boxes.ndim == 2 else None
        best, scores = [], []
        for start in range(0, len(grid_tehw), chunk):
            part = grid_tehw[start : start + chunk]
            if weights_ps is not None:
                own = boxes.expand(len(part), -1, -1)
                pooled_tpe = weights_ps @ part.flatten(2).transpose(1, 2)
            else:
                own = boxes[start : start + chunk]
                pooled_tpe = self._pool(part, own)
            cosines_tpr = F.normalize(pooled_tpe, dim=-1) @ captions.to(pooled_tpe).T
            top_tr, which_tr = cosines_tpr.max(dim=1)
            best.append(own.gather(1, which_tr[..., None].expand(-1, -1, 4)))
            scores.append(top_tr)
        return torch.cat(best).transpose(0, 1), torch.cat(scores).T

    def _pool(self, grid_tehw: Tensor, boxes_tp4: Tensor) -> Tensor:
        t, p = boxes_tp4.shape[:2]
        rows = torch.arange(t, device=boxes_tp4.device).repeat_interleave(p)[:, None]
        rois = torch.cat([rows.to(boxes_tp4), boxes_tp4.flatten(0, 1) * grid_scale(grid_tehw).to(boxes_tp4)], dim=1)
        return self.roi_align(grid_tehw, rois).flatten(1).unflatten(0, (t, p))

    def _pooling_matrix(self, grid_tehw: Tensor, boxes_p4: Tensor) -> Tensor:
        h, w = grid_tehw.shape[-2:]
        one_hot = torch.eye(h * w, device=grid_tehw.device).view(1, h * w, h, w)
        return self._pool(one_hot, boxes_p4[None])[0]
