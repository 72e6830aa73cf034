import math

import pytest
import torch
from torch import nn

from vadlab.models.layers.track_roi_pool import TrackRoIPool


def _mask(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def _bilinear(grid, x, y):
    """Value of grid (D, h, w) at a point in cells, cell centres at whole numbers, clamped at the border."""
    h, w = grid.shape[1:]
    x, y = min(max(x, 0.0), w - 1.0), min(max(y, 0.0), h - 1.0)
    x0, y0 = min(int(x), w - 2), min(int(y), h - 2)
    fx, fy = x - x0, y - y0
    top = grid[:, y0, x0] * (1 - fx) + grid[:, y0, x0 + 1] * fx
    bottom = grid[:, y0 + 1, x0] * (1 - fx) + grid[:, y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def _reference(grid, box):
    """RoIAlign to one cell as in Mask R-CNN: the mean of samples, one per cell that the box spans."""
    h, w = grid.shape[1:]
    x1, y1, x2, y2 = box[0] * w, box[1] * h, box[2] * w, box[3] * h
    nx, ny = math.ceil(x2 - x1), math.ceil(y2 - y1)
    points = [
        _bilinear(grid, x1 + (i + 0.5) * (x2 - x1) / nx - 0.5, y1 + (j + 0.5) * (y2 - y1) / ny - 0.5)
        for i in range(nx)
        for j in range(ny)
    ]
    return torch.stack(points).mean(0)


def test_values_computed_by_hand():
    dense = torch.tensor([[1.0, 2.0], [3.0, 5.0]])[None, None]
    boxes = torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1, 1]])[:, None]
    pooled = TrackRoIPool()(dense, _mask([True]), [boxes], [torch.ones(4, 1, dtype=torch.bool)])
    # The whole frame; its left half; one cell in the middle, which takes a quarter of each; the last cell.
    torch.testing.assert_close(pooled[:, 0, 0], torch.tensor([11 / 4, 4 / 2, 11 / 4, 5.0]))


def test_equals_plain_bilinear_sampling():
    torch.manual_seed(0)
    dense = torch.randn(2, 3, 4, 5)
    corner = torch.rand(3, 2, 2) * 0.5
    boxes = torch.cat([corner, corner + 0.1 + 0.4 * torch.rand(3, 2, 2)], dim=-1)
    valid = _mask([True, True], [False, True], [True, False])
    pooled = TrackRoIPool()(dense, _mask([True, True]), [boxes], [valid])
    for r in range(3):
        for t in range(2):
            wanted = _reference(dense[t], boxes[r, t].tolist()) if valid[r, t] else torch.zeros(3)
            torch.testing.assert_close(pooled[r, t], wanted, atol=1e-5, rtol=1e-5)


def test_each_region_reads_the_frames_of_its_own_video():
    # Frame k of the batch is filled with k; only frames 1, 2 and 5 have dense features.
    mask = _mask([False, True, True], [False, False, True])
    dense = torch.tensor([1.0, 2.0, 5.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    whole = torch.tensor([0.0, 0, 1, 1])
    boxes = [whole.expand(2, 3, 4), whole.expand(1, 3, 4)]
    valid = [_mask([False, True, False], [False, True, True]), _mask([False, False, True])]
    pooled = TrackRoIPool()(dense, mask, boxes, valid)[..., 0]
    assert pooled.tolist() == [[0, 1, 0], [0, 1, 2], [0, 0, 5]]


def test_projecting_afterwards_equals_projecting_before():
    torch.manual_seed(0)
    dense, projection = torch.randn(3, 8, 4, 4), nn.Linear(8, 5, bias=False)
    boxes = torch.rand(2, 3, 4).sort(dim=-1).values  # x1 <= y1 <= x2 <= y2
    valid = _mask([True, True, True], [True, False, True])
    args = (_mask([True, True, True]), [boxes], [valid])
    before = TrackRoIPool()(projection(dense.movedim(1, -1)).movedim(-1, 1), *args)
    after = projection(TrackRoIPool()(dense, *args))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_half_precision_features_are_pooled_in_float32():
    torch.manual_seed(0)
    dense = torch.randn(1, 4, 7, 7, dtype=torch.bfloat16)
    boxes, valid = torch.tensor([[[0.11, 0.13, 0.57, 0.83]]]), _mask([True])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pooled = TrackRoIPool()(dense, _mask([True]), [boxes], [valid])
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled[0, 0], _reference(dense[0].float(), boxes[0, 0].tolist()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('output_size', [1, 2])
def test_gradients_equal_finite_differences(output_size):
    torch.manual_seed(0)
    pool = TrackRoIPool(output_size)
    dense = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    boxes, valid = torch.tensor([[[0.1, 0.2, 0.6, 0.9]], [[0.3, 0.3, 0.5, 0.5]]]), _mask([True], [True])
    assert torch.autograd.gradcheck(lambda d: pool(d, _mask([True]), [boxes], [valid]), (dense,))


@pytest.mark.parametrize('n_regions', [0, 2])
def test_without_boxes_all_features_are_zero(n_regions):
    valid = torch.zeros(n_regions, 3, dtype=torch.bool)
    pooled = TrackRoIPool()(torch.zeros(0, 4, 2, 2), _mask([False] * 3), [torch.zeros(n_regions, 3, 4)], [valid])
    assert pooled.shape == (n_regions, 3, 4)
    assert not pooled.any()


def test_a_box_in_a_frame_without_features_is_rejected():
    with pytest.raises(ValueError, match='frame without dense features'):
        TrackRoIPool()(torch.zeros(1, 1, 2, 2), _mask([True, False]), [torch.zeros(1, 2, 4)], [_mask([True, True])])


def test_lists_of_different_lengths_are_rejected():
    with pytest.raises(ValueError, match='1 videos, 2 sets of boxes, 1 of masks'):
        TrackRoIPool()(torch.zeros(1, 1, 2, 2), _mask([True]), [torch.zeros(1, 1, 4)] * 2, [_mask([True])])
