import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import roi_align
from mmengine.registry import DefaultScope
from torch import nn

from vadlab.models.heads import grounding_head
from vadlab.models.heads.grid_proposals import GridProposals
from vadlab.models.heads.grounding_head import GroundingHead
from vadlab.models.heads.mmdet_proposals import MMDetProposals
from vadlab.utils.errors import ConfigError, MissingDependencyError


def _iou(boxes, box):
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    inter = (high - low).clamp(min=0).prod(1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - inter
    return inter / area


def test_grid_lies_inside_the_frame_and_reaches_its_corners():
    boxes = GridProposals()(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    assert boxes.min() == 0
    assert boxes.max() == 1
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(boxes.unique(dim=0)) == len(boxes)


def test_grid_covers_any_object_of_its_sizes_at_half_iou():
    boxes = GridProposals(sizes=(0.2,), aspect_ratios=(1.0,))(torch.zeros(0))
    for corner in torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 0.8:
        assert _iou(boxes, torch.cat([corner, corner + 0.2])).max() > 0.5


@pytest.mark.parametrize('options', [dict(sizes=()), dict(sizes=(1.2,)), dict(step=0), dict(aspect_ratios=(0,))])
def test_grid_options_out_of_range_are_rejected(options):
    with pytest.raises(ConfigError, match='GridProposals'):
        GridProposals(**options)


class _PerFrame(nn.Module):
    """Proposals that differ in every frame."""

    def forward(self, pixels):
        low = torch.rand(len(pixels), 6, 2, generator=torch.Generator().manual_seed(1)) * 0.5
        return torch.cat([low, low + 0.3], dim=-1)


@pytest.mark.parametrize('proposals', [GridProposals(sizes=(0.3, 0.6)), _PerFrame()])
@pytest.mark.parametrize('chunk_elements', [1, 2**24])
def test_equals_a_plain_loop_over_boxes(proposals, chunk_elements, monkeypatch):
    monkeypatch.setattr(grounding_head, '_MAX_ELEMENTS', chunk_elements)
    torch.manual_seed(0)
    dense, projection = torch.randn(3, 8, 4, 5), nn.Linear(8, 6, bias=False)
    captions, pixels = F.normalize(torch.randn(2, 6), dim=-1), torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    with torch.no_grad():
        boxes, scores = GroundingHead(proposals)(dense, pixels, projection, captions)
        candidates = proposals(pixels)
        for t in range(3):
            own = candidates if candidates.ndim == 2 else candidates[t]
            rois = torch.cat([torch.zeros(len(own), 1), own * torch.tensor([5.0, 4, 5, 4])], dim=1)
            pooled = roi_align(dense[t : t + 1], rois, 1, 1.0, 0, 'avg', True).flatten(1)
            cosines = F.normalize(projection(pooled), dim=-1) @ captions.T
            torch.testing.assert_close(scores[:, t], cosines.max(0).values, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(boxes[:, t], own[cosines.argmax(0)])


def test_finds_the_box_that_the_caption_describes():
    dense = torch.zeros(1, 2, 8, 8)
    dense[:, 0] = 1.0
    dense[:, :, 2:4, 4:6] = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    projection = nn.Linear(2, 2, bias=False)
    nn.init.eye_(projection.weight)
    with torch.no_grad():
        head = GroundingHead(dict(type='GridProposals', sizes=(0.25,), aspect_ratios=(1.0,), step=0.5))
        boxes, scores = head(dense, torch.zeros(1, 3, 8, 8), projection, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(boxes[0, 0], torch.tensor([0.5, 0.25, 0.75, 0.5]))
    assert scores.item() == pytest.approx(1.0)


@pytest.fixture
def fake_mmdet(monkeypatch, tmp_path):
    """Fake MMDetection: finds two boxes in odd frames and none in even ones, and records its inputs."""
    seen = []

    def inference_detector(detector, images):
        results = []
        for image in images:
            seen.append(image)
            n = 2 if image[0, 0, 0] % 2 else 0
            boxes = torch.tensor([[0.0, 0, 4, 2], [4.0, 2, 8, 9]])[:n]
            instances = types.SimpleNamespace(bboxes=boxes, scores=torch.tensor([0.4, 0.6])[:n])
            results.append(types.SimpleNamespace(pred_instances=instances))
        return results

    mmdet, apis = types.ModuleType('mmdet'), types.ModuleType('mmdet.apis')
    mmdet.__file__ = str(tmp_path / '__init__.py')
    apis.init_detector = lambda config, checkpoint, device: (config, checkpoint, device)
    apis.inference_detector = inference_detector
    monkeypatch.setitem(sys.modules, 'mmdet', mmdet)
    monkeypatch.setitem(sys.modules, 'mmdet.apis', apis)
    (tmp_path / '.mim' / 'configs').mkdir(parents=True)
    (tmp_path / '.mim' / 'configs' / 'det.py').touch()
    return seen


def test_detector_boxes_are_normalised_sorted_and_filled_up(fake_mmdet):
    pixels = torch.zeros(2, 3, 4, 8, dtype=torch.uint8)
    pixels[:, 0] = 7  # red
    pixels[1, 2] = 3  # blue, the first channel in BGR
    boxes = MMDetProposals('det.py', batch_size=1)(pixels)
    whole = [0.0, 0, 1, 1]
    assert boxes.tolist() == [[whole, whole, whole], [[0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5], whole]]
    assert np.array_equal(fake_mmdet[1][0, 0], [3, 0, 7])


def test_detector_boxes_are_limited_by_score_and_number(fake_mmdet):
    pixels = torch.ones(1, 3, 4, 8, dtype=torch.uint8)
    assert MMDetProposals('det.py', score_thr=0.5)(pixels).shape == (1, 2, 4)
    assert MMDetProposals('det.py', max_boxes=1)(pixels)[0, 0].tolist() == [0.5, 0.5, 1, 1]


def test_detector_config_that_does_not_exist_is_named(fake_mmdet):
    with pytest.raises(ConfigError, match=r"'nothing\.py' is neither a file"):
        MMDetProposals('nothing.py')(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


def test_missing_mmdet_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmdet', None)
    with pytest.raises(MissingDependencyError, match='onedl-mmdetection'):
        MMDetProposals('det.py')(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.slow
def test_a_real_detector_runs_without_output_and_restores_the_scope(capfd):
    with DefaultScope.overwrite_default_scope('vadlab'):
        proposals = MMDetProposals('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', score_thr=0.0, max_boxes=5)
        pixels = torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)
        boxes = proposals(pixels)
        assert DefaultScope.get_current_instance().scope_name == 'vadlab'
    assert boxes.shape[0] == 2
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert not list(proposals.parameters())
    assert capfd.readouterr().out == ''


def test_of_nearly_equal_boxes_the_larger_one_wins():
    """A region of 4 x 2 cells in a map of 10 x 10: every box inside has the same cosine."""
    dense = torch.zeros(1, 2, 10, 10)
    dense[0, 1] = 1.0
    dense[0, :, 4:6, 3:7] = torch.tensor([1.0, 0.0])[:, None, None]
    truth = torch.tensor([0.3, 0.4, 0.7, 0.6])
    grid = GridProposals(sizes=(0.14, 0.28, 0.42), aspect_ratios=(0.5, 1.0, 2.0), step=0.2)
    caption, pixels = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    found = {}
    for power in (0.0, 0.05):
        boxes, cosines = GroundingHead(grid, area_power=power)(dense, pixels, nn.Identity(), caption)
        found[power] = float(_iou(boxes[0], truth))
        assert 0.8 < cosines.item() <= 1
    assert found[0.05] > 0.75 > found[0.0]


def test_boxes_by_area_equal_a_plain_loop():
    """Oracle: RoIAlign of the features, box by box."""
    torch.manual_seed(0)
    dense, captions = torch.randn(3, 5, 6, 6), F.normalize(torch.randn(2, 5), dim=-1)
    head = GroundingHead(GridProposals(sizes=(0.3, 0.5), aspect_ratios=(1.0, 2.0)), area_power=0.5)
    pixels = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    proposals = head.proposals(pixels)
    boxes, cosines = head(dense, pixels, nn.Identity(), captions)
    plain, _ = GroundingHead(head.proposals)(dense, pixels, nn.Identity(), captions)
    assert not torch.equal(boxes, plain)
    for t in range(3):
        units = F.normalize(head._pool(dense[t : t + 1], proposals[None])[0], dim=-1)
        for r in range(2):
            values = [
                max(float(unit @ captions[r]), 0) * float((b[2] - b[0]) * (b[3] - b[1])) ** 0.5
                for b, unit in zip(proposals, units, strict=True)
            ]
            best = int(np.argmax(values))
            torch.testing.assert_close(boxes[r, t], proposals[best])
            torch.testing.assert_close(cosines[r, t], units[best] @ captions[r])


def test_a_negative_area_power_is_rejected():
    with pytest.raises(ConfigError, match='area_power must be >= 0'):
        GroundingHead(GridProposals(), area_power=-0.1)
