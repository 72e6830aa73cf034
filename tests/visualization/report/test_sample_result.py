import numpy as np
import torch
from mmengine.structures import InstanceData

from vadlab.structures import VADDataSample
from vadlab.structures.video_result import Thresholds
from vadlab.visualization.report.sample_result import sample_result

from .results import write_video

HALF = Thresholds(0.5, 0.5)


def sample_of(scores, **fields):
    sample = VADDataSample(metainfo={'video_id': 'a', **fields.pop('meta', {})})
    sample.pred_scores = torch.as_tensor(scores, dtype=torch.float32)
    for name, value in fields.items():
        setattr(sample, name, value)
    return sample


def test_snippet_scores_get_the_length_of_the_video(tmp_path):
    path = str(write_video(tmp_path / 'a.mp4', (np.arange(10) / 25).tolist()))
    short = sample_result(sample_of([0.1] * 4 + [0.9] * 4, meta={'video_path': path, 'snippet_len': 4}), (), HALF)
    assert short.scores.tolist() == np.float32([0.1] * 4 + [0.9] * 6).tolist()
    assert [(event.start, event.end) for event in short.events] == [(4, 10)]
    assert short.frame_inds.tolist() == [2, 6]
    assert short.size == (96, 128)
    long = sample_result(sample_of([0.1] * 12, meta={'video_path': path}), (), HALF)
    assert len(long.scores) == 10


def test_without_a_video_the_scores_are_kept(tmp_path):
    result = sample_result(sample_of([0.1, 0.6], gt_intervals=torch.tensor([[1, 9]])), (), HALF)
    assert (result.path, result.times.tolist(), result.truth.tolist()) == ('', [0.0, 0.04], [[1, 2]])


def test_classes_are_those_at_the_seen_frames():
    scores = torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    result = sample_result(
        sample_of([0.1, 0.2, 0.9, 0.9], pred_class_scores=scores, meta={'frame_inds': [0, 2]}), ('Normal', 'Riot'), HALF
    )
    assert result.class_scores.tolist() == scores.tolist()
    assert [event.label for event in result.events] == ['Riot']


def test_classes_of_frames_have_their_own_names():
    found = InstanceData(metainfo={'names': ('Fire', 'Calm', 'Theft'), 'normal': 1})
    found.frame_inds = np.array([0, 2, 2])
    found.scores = torch.tensor([[0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    result = sample_result(sample_of([0.1, 0.2, 0.9, 0.9], pred_frame_classes=found), ('Normal', 'Riot'), HALF)
    assert result.classes == ('Fire', 'Calm', 'Theft')
    assert result.frame_inds.tolist() == [0, 2]
    assert result.class_scores.tolist() == found.scores[:2].tolist()
    assert [event.label for event in result.events] == ['Theft']


def test_best_proposals_are_boxes_where_the_region_is():
    best, true = InstanceData(), InstanceData()
    best.boxes_xyxyn = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]])
    best.box_scores = torch.tensor([[0.2, 0.3]])
    true.box_valid, true.captions = torch.tensor([[False, True]]), ['a man']
    meta = {'frame_inds': [0, 2], 'ori_shape': (10, 20)}
    boxes = sample_result(sample_of([0.1] * 3, pred_regions=best, gt_regions=true, meta=meta), (), HALF).boxes
    assert boxes.frame_inds.tolist() == [2]
    assert boxes.boxes_xyxy.tolist() == [[10, 5, 20, 10]]
    assert (boxes.labels, boxes.track_ids.tolist()) == (['a man'], [0])


def test_detections_include_their_last_pixels():
    found = InstanceData()
    found.frame_inds, found.boxes_xyxy = torch.tensor([1]), torch.tensor([[2, 3, 5, 7]])
    found.scores = torch.tensor([0.9])
    boxes = sample_result(sample_of([0.1] * 3, pred_detections=found, meta={'ori_shape': (10, 20)}), (), HALF).boxes
    assert boxes.boxes_xyxy.tolist() == [[2, 3, 6, 8]]
