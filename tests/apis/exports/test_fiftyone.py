"""Export to FiftyOne: with stand-ins that take its arguments, and with FiftyOne itself where its MongoDB runs."""

import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.visualization.report.results import result_of, write_video
from vadlab.apis.exports import fiftyone as fiftyone_export
from vadlab.apis.exports.fiftyone import write_fiftyone
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError, MissingFileError

TIMES = np.arange(40) / 25


def video(path, shift=0.0, codec='libx264'):
    return write_video(path, TIMES.tolist(), codec=codec, shift=shift)


class Fields(dict):
    def __init__(self, **fields):
        super().__init__(fields)
        self.frames = {}


@pytest.fixture
def fiftyone(monkeypatch):
    module, made = ModuleType('fiftyone'), {}

    def dataset(name):
        made[name] = []
        return SimpleNamespace(add_sample=made[name].append, delete=lambda: made.pop(name), persistent=False)

    for kind in (
        'Sample',
        'VideoMetadata',
        'Frame',
        'TemporalDetections',
        'TemporalDetection',
        'Detections',
        'Detection',
    ):
        setattr(module, kind, Fields)
    module.Dataset, module.dataset_exists, module.made = dataset, made.__contains__, made
    module.core = SimpleNamespace(config=SimpleNamespace(FiftyOneConfigError=type('ConfigMistake', (Exception,), {})))
    monkeypatch.setitem(sys.modules, 'fiftyone', module)
    return module


def test_events_boxes_and_scores_are_numbered_from_one(fiftyone, tmp_path):
    result = result_of('a.mp4', video(tmp_path / 'a.mp4'), TIMES)
    assert write_fiftyone([result], 'demo') == 1
    (sample,) = fiftyone.made['demo']
    assert sample['filepath'] == str(tmp_path / 'a.mp4')
    facts = sample['metadata']
    assert (facts['frame_rate'], facts['total_frame_count']) == (pytest.approx(25), 40)
    assert facts['size_bytes'] == (tmp_path / 'a.mp4').stat().st_size
    assert (facts['frame_width'], facts['frame_height'], facts['mime_type']) == (128, 96, 'video/mp4')
    supports = [detection['support'] for detection in sample['events']['detections']]
    assert supports == [[event.start + 1, event.end] for event in result.events]
    assert sample.frames[1]['score'] == pytest.approx(result.scores[0])
    assert len(sample.frames) == 40
    (box,) = sample.frames[5]['boxes']['detections']
    x1, y1, x2, y2 = result.boxes.boxes_xyxy[1] / [128, 96, 128, 96]
    assert box['bounding_box'] == pytest.approx([x1, y1, x2 - x1, y2 - y1])
    assert box['keyframe'] is True


def test_a_box_is_in_every_frame_until_the_next_one_that_the_model_saw(fiftyone, tmp_path):
    """The model saw frames 0, 4, ..., 36. A track moves evenly between them; a box without a track stays."""
    result = result_of('a.mp4', video(tmp_path / 'a.mp4'), TIMES)
    result.boxes = result.boxes[np.array([1, 2, 5])]
    result.boxes.track_ids = np.array([3, 3, -1])
    write_fiftyone([result], 'demo')
    (sample,) = fiftyone.made['demo']
    found = {number: frame['boxes']['detections'] for number, frame in sample.frames.items() if 'boxes' in frame}
    assert sorted(found) == [*range(5, 13), *range(21, 25)]  # from 1
    lefts = [found[number][0]['bounding_box'][0] * 128 for number in sorted(found)]
    first, second, alone = result.boxes.boxes_xyxy[:, 0].tolist()
    evenly = [first + share * (second - first) for share in (0, 0.25, 0.5, 0.75)]
    assert lefts == pytest.approx([*evenly, *[second] * 4, *[alone] * 4])
    assert [number for number in sorted(found) if found[number][0]['keyframe']] == [5, 9, 21]


def test_a_video_that_is_gone_is_named_and_leaves_no_data_set(fiftyone, tmp_path):
    with pytest.raises(MissingFileError, match=r'There is no video .*a\.mp4'):
        write_fiftyone([result_of('a.mp4', tmp_path / 'a.mp4', TIMES)], 'demo')
    assert 'demo' not in fiftyone.made


def test_what_fiftyone_would_show_wrongly_is_refused(fiftyone, tmp_path):
    uneven = result_of('a.mp4', tmp_path / 'a.mp4', np.cumsum([0.0, *([0.04, 0.2] * 10)]))
    with pytest.raises(DataError, match=r'a\.mp4 has a variable frame rate'):
        write_fiftyone([result_of('b.mp4', video(tmp_path / 'b.mp4'), TIMES), uneven], 'demo')
    late = result_of('b.mp4', video(tmp_path / 'b.mp4', shift=0.2), TIMES)
    with pytest.raises(DataError, match=r'b\.mp4: the first picture comes at 0\.200 s'):
        write_fiftyone([late], 'demo')
    with pytest.raises(DataError, match='not folders of frames'):
        write_fiftyone([result_of('frames', tmp_path, TIMES)], 'demo')
    assert 'demo' not in fiftyone.made
    fiftyone.made['demo'] = []
    with pytest.raises(ConfigError, match="has a data set 'demo'"):
        write_fiftyone([], 'demo')


def test_a_database_that_does_not_answer_is_one_clear_message(fiftyone):
    for mistake in (ConnectionError('no answer'), fiftyone.core.config.FiftyOneConfigError('no answer')):

        def exists(name, mistake=mistake):
            raise mistake

        fiftyone.dataset_exists = exists
        with pytest.raises(MissingDependencyError, match=r'cannot reach its database \(no answer\).*DATABASE_URI'):
            write_fiftyone([], 'demo')


@pytest.mark.skipif('FIFTYONE_DATABASE_URI' not in os.environ, reason='no FIFTYONE_DATABASE_URI: MongoDB must run')
def test_fiftyone_itself_reads_back_every_score_event_and_box(tmp_path):
    fiftyone = pytest.importorskip('fiftyone')
    result, name = result_of('a.mp4', video(tmp_path / 'a.mp4'), TIMES), f'vadlab_test_{os.getpid()}'
    uneven = result_of('b.mp4', tmp_path / 'b.mp4', np.cumsum([0.0, *([0.04, 0.2] * 10)]))
    with pytest.raises(DataError, match=r'b\.mp4 has a variable frame rate'):
        write_fiftyone([result, uneven], name)
    assert not fiftyone.dataset_exists(name)
    assert write_fiftyone([result], name) == 1
    dataset = fiftyone.load_dataset(name)
    try:
        assert dataset.persistent
        assert dataset.media_type == 'video'
        (sample,) = dataset
        scores = [sample.frames[number]['score'] for number in range(1, len(TIMES) + 1)]
        np.testing.assert_array_equal(np.float32(scores), result.scores)
        events = [(found.support, found.confidence) for found in sample['events'].detections]
        assert events == [([event.start + 1, event.end], event.score) for event in result.events]
        found = {number: frame['boxes'].detections for number, frame in sample.frames.items() if frame['boxes']}
        places = [(number, box.bounding_box) for number, boxes in found.items() for box in boxes if box.keyframe]
        assert len(places) == len(result.boxes.frame_inds)
        height, width = result.size
        for (number, place), frame, box in zip(
            places, result.boxes.frame_inds.tolist(), result.boxes.boxes_xyxy.tolist(), strict=True
        ):
            assert number == frame + 1
            x1, y1, x2, y2 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
            np.testing.assert_allclose(place, [x1, y1, x2 - x1, y2 - y1], rtol=1e-6)
    finally:
        dataset.delete()


def test_videos_that_browsers_do_not_play_are_counted(fiftyone, tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(fiftyone_export, 'log', lambda text, *_: warnings.append(text))
    results = [result_of(name, video(tmp_path / name, codec='mpeg4'), TIMES) for name in ('a.mp4', 'b.mp4')]
    assert write_fiftyone([*results, result_of('c.mp4', video(tmp_path / 'c.mp4'), TIMES)], 'demo') == 3
    assert [text[:34] for text in warnings] == ['2 videos may not play in a browser']
