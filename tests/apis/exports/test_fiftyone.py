"""FiftyOne itself needs MongoDB; the stand-ins below take the arguments that FiftyOne 1.22 takes."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.visualization.report.results import result_of
from vadlab.apis.exports.fiftyone import write_fiftyone
from vadlab.utils.errors import ConfigError, DataError

TIMES = np.arange(40) / 25


class Fields(dict):
    def __init__(self, **fields):
        super().__init__(fields)
        self.frames = {}


@pytest.fixture
def fiftyone(monkeypatch):
    module, made = ModuleType('fiftyone'), {}

    def dataset(name, persistent):
        made[name] = []
        return SimpleNamespace(add_samples=made[name].extend)

    for kind in ('Sample', 'Frame', 'TemporalDetections', 'TemporalDetection', 'Detections', 'Detection'):
        setattr(module, kind, Fields)
    module.Dataset, module.dataset_exists, module.made = dataset, made.__contains__, made
    monkeypatch.setitem(sys.modules, 'fiftyone', module)
    return module


def test_events_boxes_and_scores_are_numbered_from_one(fiftyone, tmp_path):
    result = result_of('a.mp4', tmp_path / 'a.mp4', TIMES)
    assert write_fiftyone([result], 'demo') == 1
    (sample,) = fiftyone.made['demo']
    assert sample['filepath'] == str(tmp_path / 'a.mp4')
    supports = [detection['support'] for detection in sample['events']['detections']]
    assert supports == [[event.start + 1, event.end] for event in result.events]
    assert sample.frames[1]['score'] == pytest.approx(result.scores[0])
    assert len(sample.frames) == 40
    (box,) = sample.frames[5]['boxes']['detections']
    x1, y1, x2, y2 = result.boxes.boxes_xyxy[1] / [128, 96, 128, 96]
    assert box['bounding_box'] == pytest.approx([x1, y1, x2 - x1, y2 - y1])
    assert 'boxes' not in sample.frames[2]


def test_what_fiftyone_would_show_wrongly_is_refused(fiftyone, tmp_path):
    uneven = result_of('a.mp4', tmp_path / 'a.mp4', np.cumsum([0.0, *([0.04, 0.2] * 10)]))
    with pytest.raises(DataError, match=r'a\.mp4 has a variable frame rate'):
        write_fiftyone([uneven], 'demo')
    with pytest.raises(DataError, match='not folders of frames'):
        write_fiftyone([result_of('frames', tmp_path, TIMES)], 'demo')
    assert 'demo' not in fiftyone.made
    fiftyone.made['demo'] = []
    with pytest.raises(ConfigError, match="has a data set 'demo'"):
        write_fiftyone([], 'demo')
