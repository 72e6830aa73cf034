"""Pool dense feature maps under boxes that follow a moving region.

Shape suffixes: b videos, t sampled frames, m dense frames, r regions of all videos, p (region, frame) pairs with a box,
d channels, hw grid.
"""

import torch
from torch import Tensor, nn

from vadlab.registry import MODELS

from .host_copy import to_device
from .roi_align import RoIAlign


@MODELS.register_module()
class TrackRoIPool(nn.Module):
    """:class:`RoIAlign` of each frame of a track under its box in that frame.

    RoIAlign is linear in the features: each output is a fixed weighted average of grid cells. So a bias-free projection
    after pooling (and after any mean over frames) gives the same result as before it, at a fraction of the cost.

    Args:
        output_size (int): Cells of the pooled grid along each side; they are averaged to one vector.
        sampling_ratio (int): See :class:`RoIAlign`.
        aligned (bool): See :class:`RoIAlign`.
    """

    def __init__(self, output_size: int = 1, sampling_ratio: int = 0, aligned: bool = True) -> None:
        super().__init__()
        self.roi_align = RoIAlign(output_size, sampling_ratio, aligned)

    def forward(self, dense: Tensor, dense_mask: Tensor, boxes_xyxyn: list[Tensor], valid: list[Tensor]) -> Tensor:
        """Pool all regions of a batch in all frames.

        Args:
            dense (Tensor): Features of the frames marked in ``dense_mask``, in its row-major order, shape (M, D, h, w).
            dense_mask (Tensor): Frames that ``dense`` holds, bool, shape (B, T). Keep it and the boxes on the CPU to
                avoid a synchronisation with the device.
            boxes_xyxyn (list[Tensor]): Normalised boxes of each video, shape (R_b, T, 4).
            valid (list[Tensor]): Frames in which a region has a box, bool, shape (R_b, T).

        Returns:
            Tensor: Features in the order of the videos, zeros in frames where a region has no box, float32 (float64 for
            float64 features), shape (sum of R_b, T, D).

        Raises:
            ValueError: A region has a box in a frame that ``dense`` does not hold, or the lengths differ.
        """
        if not len(boxes_xyxyn) == len(valid) == len(dense_mask):
            raise ValueError(
                f'TrackRoIPool: {len(dense_mask)} videos, {len(boxes_xyxyn)} sets of boxes, {len(valid)} of masks.'
            )
        n_frames = dense_mask.shape[1]
        valid_rt, boxes_rt4 = torch.cat(valid), torch.cat(boxes_xyxyn)
        owner_r = torch.repeat_interleave(torch.tensor([len(v) for v in valid], device=valid_rt.device))
        region_p, time_p = valid_rt.nonzero(as_tuple=True)
        frame_p = owner_r[region_p] * n_frames + time_p
        if not dense_mask.flatten()[frame_p].all():
            raise ValueError('TrackRoIPool: a region has a box in a frame without dense features.')

        dtype = torch.float64 if dense.dtype == torch.float64 else torch.float32
        pooled_rtd = torch.zeros(*valid_rt.shape, dense.shape[1], dtype=dtype, device=dense.device)
        if len(frame_p) == 0:
            return pooled_rtd + 0 * dense.sum()  # keeps the graph, since every rank must gather gradients
        row_p = (dense_mask.flatten().cumsum(0) - 1)[frame_p]
        rois_p5 = torch.cat([row_p[:, None], boxes_rt4[region_p, time_p] * grid_scale(dense)], dim=1)
        pooled_pd = self.roi_align(dense, rois_p5).mean(dim=(2, 3))
        return pooled_rtd.index_put((to_device(region_p, dense.device), to_device(time_p, dense.device)), pooled_pd)


def grid_scale(dense_mdhw: Tensor) -> Tensor:
    """Factors that take x1, y1, x2, y2 from 0..1 to units of the feature grid, float32 on the CPU, shape (4,)."""
    h, w = dense_mdhw.shape[-2:]
    return torch.tensor([w, h, w, h], dtype=torch.float32)
