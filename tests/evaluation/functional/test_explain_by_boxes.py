import numpy as np
from mmengine.structures import InstanceData

from vadlab.evaluation.functional.events import explain_by_boxes
from vadlab.structures.video_result import Event


def test_an_event_is_named_by_its_highest_object_with_a_reason():
    boxes = InstanceData()
    boxes.frame_inds = np.array([3, 4, 5, 20])
    boxes.scores = np.array([1.0, 3.0, 9.0, 99.0])
    boxes.labels = ['person', 'bicycle', 'car', 'truck']
    boxes.reasons = ['speed: 1', 'speed: 2', '', 'kind: 3']
    events = (Event(2, 10, 5, 0.2, 1.0, 0.5, 0.9), Event(30, 31, 30, 3.0, 3.1, 3.0, 0.8))
    first, second = explain_by_boxes(events, boxes)
    assert (first.label, first.reason) == ('bicycle', 'frame 4: speed: 2')
    assert second == events[1]
