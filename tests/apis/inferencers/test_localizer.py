"""Boxes and heat maps against their definition, computed here one proposal at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.datasets.video import read_frames
from vadlab.structures.video_result import Thresholds
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError


@pytest.fixture(scope='module')
def inferencer(tiny):
    return VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=8, thresholds=Thresholds(0.0, 0.0))


def grid_of(inferencer, path, inds):
    frames = read_frames(str(path), np.array(inds), (32, 32))
    with torch.no_grad():
        return inferencer.model.embed_grid(inferencer.scorer.to_inputs(frames)), frames


def test_a_heat_map_is_the_cosine_of_each_cell_and_the_prompt(inferencer, videos):
    heat = inferencer.heat_maps(videos[0], [3, 20], 'a person lying on the floor')
    grid, _ = grid_of(inferencer, videos[0], [3, 20])
    with torch.no_grad():
        (text,) = inferencer.model.embed_phrases(['a person lying on the floor'])
    assert heat.shape == (2, 2, 2)
    for t in range(2):
        for y in range(2):
            for x in range(2):
                expected = F.cosine_similarity(grid[t, :, y, x], text, dim=0)
                assert heat[t, y, x] == pytest.approx(float(expected), abs=1e-5)


def test_boxes_are_the_proposals_with_the_largest_gain(inferencer, videos):
    (result,) = inferencer(videos[0], prompts=['a fire', 'a dog'], negatives=['a street'], boxes=True)
    (event,) = result.events
    boxes = result.boxes
    assert set(boxes.labels) <= {event.label}
    assert set(boxes.frame_inds.tolist()) <= set(result.frame_inds.tolist()) == {4, 12, 20}
    model = inferencer.model
    head = model.grounding_head
    for frame in result.frame_inds.tolist():
        grid, _ = grid_of(inferencer, videos[0], [frame])
        with torch.no_grad():
            wanted, normal = model.embed_phrases([event.label, 'a street'])
            proposals = head.proposals(None)
            gains = []
            for box in proposals:  # one at a time
                pooled = head._pool(grid, box[None, None])[0, 0]
                cosines = [F.cosine_similarity(pooled, text, dim=0) for text in (wanted, normal)]
                gains.append(float(cosines[0] - cosines[1]))
        own = boxes.frame_inds == frame
        best = max(gains)
        if best <= 0:
            assert not own.any()
            continue
        assert boxes.scores[own][0] == pytest.approx(best, abs=1e-4)
        scaled = proposals.numpy() * [64, 48, 64, 48]
        (which,) = np.flatnonzero(np.abs(scaled - boxes.boxes_xyxy[own][0]).max(axis=1) < 1e-3)
        assert gains[which] == pytest.approx(best, abs=1e-5)  # several boxes of a grid of 2 x 2 cells are equal
        assert own.sum() <= 3
    assert all(reason.startswith('more similar to "') for reason in boxes.reasons)


def test_boxes_of_one_frame_do_not_overlap_and_tracks_are_numbered(inferencer, videos, tmp_path):
    from vadlab.evaluation.functional.grounding import aligned_iou
    from vadlab.structures.video_result import VideoResult

    list(inferencer(videos, boxes=True, out=tmp_path))
    found = [VideoResult.load(tmp_path / f'{path.name}.json').boxes for path in videos]
    assert sum(len(boxes.scores) for boxes in found) > 0
    for boxes in found:
        for frame in np.unique(boxes.frame_inds):
            own = boxes.boxes_xyxy[boxes.frame_inds == frame]
            pairs = [(a, b) for i, a in enumerate(own) for b in own[:i]]
            assert all(aligned_iou(a, b) <= 0.3 + 1e-6 for a, b in pairs)
            tracks = boxes.track_ids[boxes.frame_inds == frame]
            assert len(set(tracks.tolist())) == len(tracks)


def test_arrays_have_boxes_too(inferencer):
    frames = np.random.default_rng(0).integers(0, 255, (9, 40, 60, 3), np.uint8)
    (result,) = inferencer(frames, boxes=True)
    assert (result.boxes.boxes_xyxy[:, 2] <= 60).all()


def test_methods_without_a_patch_grid_refuse(tiny, videos):
    config = load_config(tiny / 'config.py', {'model.grounding_head': None})
    blind = VADInferencer(config, tiny / 'weights.pth')
    with pytest.raises(ConfigError, match='FGCLIP cannot find boxes'):
        list(blind(videos[0], boxes=True))
    with pytest.raises(ConfigError, match='FGCLIP cannot find boxes'):
        blind.heat_maps(videos[0], [0], 'a dog')
