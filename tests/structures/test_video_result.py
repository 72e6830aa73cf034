"""Results on disk; expected values are written by hand."""

import json

import numpy as np
import pytest
from mmengine.structures import InstanceData

from vadlab.structures.video_result import (
    Calibration,
    Event,
    RunInfo,
    Thresholds,
    VideoResult,
    load_results,
)
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

EVENT = Event(1, 3, 2, 0.04, 0.13, 0.08, 0.9, 'Fighting', 'rises from 0.1 to 0.9')


def full(name='Abuse/a.mp4'):
    boxes = InstanceData()
    boxes.frame_inds = np.array([1, 2])
    boxes.boxes_xyxy = np.array([[1, 2, 3, 4], [1.5, 2, 3, 4]], np.float32)
    boxes.scores = np.array([0.5, 0.75], np.float32)
    boxes.labels = ['a man', 'a man']
    boxes.track_ids = np.array([7, 7])
    boxes.reasons = ['', 'nearest to "a man"']
    return VideoResult(
        name, '/videos/Abuse/a.mp4', 25.0, (240, 320),
        scores=[0.1, 0.5, 0.9, 0.2], times=[0.0, 0.04, 0.09, 0.13], frame_inds=[0, 2],
        classes=('Normal', 'Fighting'), class_scores=[[0.9, 0.1], [0.1, 0.9]], events=(EVENT,), boxes=boxes,
        truth=[[1, 3]], threshold=Thresholds(0.8, 0.4, 0.0, 1.0, 'calibration.json', 0.5),
    )  # fmt: skip


def test_a_saved_result_is_read_with_every_value(tmp_path):
    path = full().save(tmp_path)
    assert path == tmp_path / 'Abuse' / 'a.mp4.json'
    found = VideoResult.load(path)
    assert (found.name, found.path, found.fps, found.size) == ('Abuse/a.mp4', '/videos/Abuse/a.mp4', 25.0, (240, 320))
    assert found.scores.dtype == np.float32
    assert found.scores.tolist() == np.float32([0.1, 0.5, 0.9, 0.2]).tolist()
    assert found.times.dtype == np.float64
    assert found.times.tolist() == [0.0, 0.04, 0.09, 0.13]
    assert found.frame_inds.tolist() == [0, 2]
    assert found.classes == ('Normal', 'Fighting')
    assert found.class_scores.tolist() == np.float32([[0.9, 0.1], [0.1, 0.9]]).tolist()
    assert found.events == (EVENT,)
    assert found.truth.tolist() == [[1, 3]]
    assert found.error is None
    assert found.threshold == Thresholds(0.8, 0.4, 0.0, 1.0, 'calibration.json', 0.5)
    assert found.boxes.boxes_xyxy.tolist() == [[1, 2, 3, 4], [1.5, 2, 3, 4]]
    assert found.boxes.track_ids.tolist() == [7, 7]
    assert found.boxes.labels == ['a man', 'a man']
    assert found.boxes.reasons == ['', 'nearest to "a man"']
    assert found.boxes.scores.tolist() == [0.5, 0.75]


def test_events_are_readable_in_the_json_file(tmp_path):
    content = json.loads(full().save(tmp_path).read_text())
    assert content['events'][0]['label'] == 'Fighting'
    assert content['num_frames'] == 4
    assert content['duration_s'] == pytest.approx(0.13 + 0.04)


def test_a_video_that_failed_has_its_reason_and_no_scores(tmp_path):
    found = VideoResult.load(VideoResult.failed('a.mp4', '/a.mp4', 'no picture').save(tmp_path))
    assert found.error == 'no picture'
    assert len(found.scores) == 0
    assert found.boxes is None
    assert found.duration_s == 0


def test_all_results_below_a_folder_in_natural_order_and_nothing_else(tmp_path):
    for name in ('v10.mp4', 'v2.mp4', 'sub/v1.mp4'):
        full(name).save(tmp_path)
    RunInfo('c.py').save(tmp_path)
    (tmp_path / 'other.json').write_text('{}')
    assert [found.name for found in load_results(tmp_path)] == ['sub/v1.mp4', 'v2.mp4', 'v10.mp4']


def test_run_info_is_read_with_every_value(tmp_path):
    calibration = Calibration(2.0, 3, 0.2, 1.0, 0.5, (0.9, 0.5, 0.3), 'normal')
    info = RunInfo('c.py', 'w.pth', 'FGCLIP', ('a', 'b'), 'every 16th frame', Thresholds(0.5, 0.2), calibration)
    info.save(tmp_path)
    assert RunInfo.load(tmp_path) == info


def test_false_alarms_per_hour_count_the_peaks_that_reach_the_threshold():
    calibration = Calibration(2.0, 3, 0.2, 1.0, 0.5, (0.9, 0.5, 0.3))
    assert [calibration.false_alarms_per_hour(high) for high in (0.2, 0.5, 0.6, 0.95)] == [1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(high=0.2, low=0.5), r'low=0.5 is above high=0.2'),
        (dict(high=0.5, low=0.2, min_s=-1), 'min_s=-1'),
        (dict(high=float('nan'), low=0.2), 'high=nan is not a finite number'),
    ],
)
def test_thresholds_that_contradict_each_other_are_an_error(values, message):
    with pytest.raises(ConfigError, match=message):
        Thresholds(**values)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(name='../a.mp4'), 'not a path below a folder'),
        (dict(name='/a.mp4'), 'not a path below a folder'),
        (dict(times=[0.0]), r'times \(1,\)'),
        (dict(frame_inds=[0, 4]), 'frame_inds reach from 0 to 4, of 4 frames'),
        (dict(class_scores=[[1.0, 2.0]]), r'class_scores \(1, 2\) of 2 frames'),
        (dict(events=(Event(1, 9, 2, 0, 0, 0, 0.0),)), 'event 1 to 9'),
        (dict(scores=[0.1, np.nan, 0.1, 0.1]), 'not finite'),
        (dict(fps=0.0), 'fps=0'),
    ],
)
def test_values_that_do_not_fit_each_other_are_an_error(change, message):
    values = dict(vars(full()).items())
    with pytest.raises(DataError, match=message):
        VideoResult(**{**values, **change})


def test_results_without_arrays_or_of_another_format_are_refused(tmp_path):
    path = full().save(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(DataError, match='version 9, which this version'):
        VideoResult.load(path)
    path.write_text(text)
    path.with_suffix('.npz').unlink()
    with pytest.raises(MissingFileError, match=r'a\.mp4\.npz'):
        VideoResult.load(path)
    with pytest.raises(MissingFileError, match='no folder of results'):
        list(load_results(tmp_path / 'none'))
