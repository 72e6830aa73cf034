"""RoIAlign: mmcv's op, or the same computation in plain torch if mmcv has no op for the device.

Shape suffixes: m maps, p boxes, d channels, hw grid, uv cells of a pooled box, s samples along one side.
"""

import functools

import torch
from torch import Tensor, nn

from .host_copy import to_device

BUILD = "To build them, install the compiler (for a GPU, also CUDA's toolkit) and run: make install"


@functools.cache
def mmcv_ops_problem(device_type: str) -> str | None:
    """Why mmcv's compiled ops do not run on a kind of device, or None if they do.

    mmcv built without ``nvcc`` has only CPU ops: the import succeeds, and the first call on the GPU fails.

    Args:
        device_type (str): ``cpu``, ``cuda`` and so on.
    """
    try:
        from mmcv.ops import roi_align
    except ImportError as error:
        return f'mmcv has no compiled ops ({error}). {BUILD}'
    try:
        maps = torch.zeros(1, 1, 2, 2, device=device_type)
        roi_align(maps, torch.tensor([[0.0, 0, 0, 2, 2]], device=device_type), 1)
    except (RuntimeError, NotImplementedError) as error:
        return f'mmcv has no ops for {device_type} ({str(error).splitlines()[0]}). {BUILD}'
    return None


class RoIAlign(nn.Module):
    """Mean feature of each cell of each box, from bilinear samples.

    He et al., "Mask R-CNN", 2017, arXiv:1703.06870, section 3. Computed in float32 even under automatic mixed
    precision: in half precision, neighbouring grid positions may round to the same value. Uses mmcv's op if it runs on
    the device, otherwise :func:`plain_roi_align`.

    Args:
        output_size (int): Cells of a pooled box along each side.
        sampling_ratio (int): Samples along each side of a cell; 0 takes as many as grid cells it covers.
        aligned (bool): Shift by half a grid cell, so that the value of a grid cell lies at its centre.
    """

    def __init__(self, output_size: int = 1, sampling_ratio: int = 0, aligned: bool = True) -> None:
        super().__init__()
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, maps_mdhw: Tensor, rois_p5: Tensor) -> Tensor:
        """Pool features under boxes.

        Args:
            maps_mdhw (Tensor): Features, floating point, shape (M, D, h, w).
            rois_p5 (Tensor): Boxes: row of ``maps_mdhw``, then x1, y1, x2, y2 in grid units, shape (P, 5).

        Returns:
            Tensor: float32 (float64 for float64 features), shape (P, D, output_size, output_size). Gradients go to the
            features only.
        """
        dtype = torch.float64 if maps_mdhw.dtype == torch.float64 else torch.float32
        with torch.autocast(maps_mdhw.device.type, enabled=False):
            maps_mdhw = maps_mdhw.to(dtype)
            rois_p5 = rois_p5.to(dtype)
            if mmcv_ops_problem(maps_mdhw.device.type):
                return plain_roi_align(maps_mdhw, rois_p5, self.output_size, self.sampling_ratio, self.aligned)
            from mmcv.ops import roi_align

            # mmcv's op ignores strides: a non-contiguous tensor silently gives wrong features.
            maps_mdhw, rois_p5 = maps_mdhw.contiguous(), to_device(rois_p5.contiguous(), maps_mdhw.device)
            return roi_align(maps_mdhw, rois_p5, self.output_size, 1.0, self.sampling_ratio, 'avg', self.aligned)


def plain_roi_align(
    maps_mdhw: Tensor, rois_p5: Tensor, output_size: int = 1, sampling_ratio: int = 0, aligned: bool = True
) -> Tensor:
    """RoIAlign in plain torch, equal to mmcv's op up to rounding.

    Bilinear weights factor into one part for rows and one for columns, and so does their mean over the samples of a
    cell. So each pooled cell is a weighted sum over the map, and all boxes of a map are one matrix product. Boxes
    without width or height give zeros; so do boxes whose end lies before their start, which mmcv rejects.

    Args:
        maps_mdhw (Tensor): Features, floating point, shape (M, D, h, w).
        rois_p5 (Tensor): Boxes: row of ``maps_mdhw``, then x1, y1, x2, y2 in grid units, shape (P, 5). Keep them on
            the CPU: their weights are computed on their device, and on a GPU the host would have to wait.
        output_size (int): Cells of a pooled box along each side.
        sampling_ratio (int): Samples along each side of a cell; 0 takes as many as grid cells it covers.
        aligned (bool): Shift by half a grid cell.

    Returns:
        Tensor: Shape (P, D, output_size, output_size).
    """
    (m, d, h, w), p, size = maps_mdhw.shape, len(rois_p5), output_size
    if p == 0:
        return maps_mdhw.new_zeros(0, d, size, size) + 0 * maps_mdhw.sum()
    with torch.no_grad():
        corners_p4 = rois_p5[:, 1:] - (0.5 if aligned else 0.0)
        columns_puw = _side_weights(corners_p4[:, 0], corners_p4[:, 2], size, w, sampling_ratio, aligned)
        rows_puh = _side_weights(corners_p4[:, 1], corners_p4[:, 3], size, h, sampling_ratio, aligned)
        weights_px = torch.einsum('puh,pvw->puvhw', rows_puh, columns_puw).reshape(p, -1)
        # The boxes of each map side by side, padded to the number of boxes of the map that has most.
        map_p = rois_p5[:, 0].long()
        per_map_m = torch.bincount(map_p, minlength=m)
        order_p = torch.argsort(map_p, stable=True)
        place_p = torch.empty_like(map_p)
        first_m = per_map_m.cumsum(0) - per_map_m
        place_p[order_p] = torch.arange(p, device=map_p.device) - first_m[map_p[order_p]]
        padded_mnx = weights_px.new_zeros(m, int(per_map_m.max()), weights_px.shape[1])
        padded_mnx[map_p, place_p] = weights_px
        padded_mnx, map_p, place_p = (to_device(x, maps_mdhw.device) for x in (padded_mnx, map_p, place_p))
    pooled_mnud = padded_mnx.view(m, -1, h * w) @ maps_mdhw.flatten(2).transpose(1, 2)
    pooled_pud = pooled_mnud.unflatten(1, (-1, size * size))[map_p, place_p]
    return pooled_pud.transpose(1, 2).unflatten(2, (size, size))


def _side_weights(
    start_p: Tensor, end_p: Tensor, cells: int, length: int, sampling_ratio: int, aligned: bool
) -> Tensor:
    """Weights of the grid's rows (or columns) in the cells of each box, shape (P, cells, length)."""
    extent_p = end_p - start_p if aligned else (end_p - start_p).clamp(min=1)
    bin_p11 = (extent_p / cells)[:, None, None]
    if sampling_ratio > 0:
        samples_p11 = torch.full_like(bin_p11, sampling_ratio)
    else:
        samples_p11 = bin_p11.ceil().clamp(min=0)
    cell_u1 = torch.arange(cells, device=start_p.device, dtype=start_p.dtype)[:, None]
    grid_l = torch.arange(length, device=start_p.device, dtype=start_p.dtype)
    weights_pul = start_p.new_zeros(len(start_p), cells, length)
    for sample in range(int(samples_p11.max())):
        # The same order of operations as mmcv, so that positions round the same way.
        position = start_p[:, None, None] + cell_u1 * bin_p11 + (sample + 0.5) * bin_p11 / samples_p11.clamp(min=1)
        counts = (sample < samples_p11) & (position >= -1) & (position <= length)
        weights_pul += counts * (1 - (position.clamp(0, length - 1) - grid_l).abs()).clamp(min=0)
    return weights_pul / samples_p11.clamp(min=1)
