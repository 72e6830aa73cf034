import json

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData

from vadlab.structures.normal_example import NormalExample
from vadlab.structures.video_result import Event, RunInfo, VideoResult
from vadlab.utils.errors import DataError
from vadlab.visualization.report.example_pictures import write_examples
from vadlab.visualization.report.video_report import VideoReport

OBJECT, NORMAL = np.array([[40, 20, 50, 40]], np.float32), (10.0, 20.0, 20.0, 40.0)


def write_clip(folder, colour, box):
    """Eight black frames; frame 5 has a filled box in a colour (RGB)."""
    folder.mkdir(parents=True)
    for i in range(8):
        picture = np.zeros((60, 80, 3), np.uint8)
        if i == 5:
            x1, y1, x2, y2 = map(int, box)
            picture[y1:y2, x1:x2] = colour[::-1]
        cv2.imwrite(str(folder / f'{i:03d}.png'), picture)
    return str(folder)


def result_of(path, example):
    boxes = InstanceData()
    boxes.frame_inds, boxes.boxes_xyxy = np.array([4, 5]), np.repeat(OBJECT, 2, axis=0)
    boxes.scores, boxes.track_ids = np.array([1.0, 2.0], np.float32), np.array([-1, -1])
    boxes.labels, boxes.reasons = ['person'] * 2, ['', 'speed: fast']
    boxes.examples = ['', example]
    events = (Event(3, 7, 6, 0.3, 0.7, 0.6, 0.9), Event(0, 2, 1, 0.0, 0.2, 0.1, 0.8))
    return VideoResult(
        'a', path, 10.0, (60, 80), np.zeros(8), np.arange(8) / 10, np.arange(8), events=events, boxes=boxes
    )


@pytest.fixture
def clips(tmp_path):
    found = write_clip(tmp_path / 'test', (250, 0, 0), OBJECT[0])
    return found, write_clip(tmp_path / 'train' / 'b', (0, 0, 250), NORMAL)


def test_object_and_example_are_side_by_side(clips, tmp_path):
    example = NormalExample('b', clips[1], 5, NORMAL)
    result = result_of(clips[0], example.to_json())
    written = write_examples(result, [1, 6], tmp_path / 'out')
    # The second event has no box.
    assert written == {'6': 'Left: the object in frame 5. Right: nearest normal, clip b, frame 5, box 10 20 20 40'}
    picture = cv2.imread(str(tmp_path / 'out' / 'example_6.jpg'))[..., ::-1].astype(int)
    assert picture.shape[0] == 160
    red, blue = (np.argwhere(picture[..., c] - picture[..., 2 - c] > 150)[:, 1] for c in (0, 2))
    assert red.max() < picture.shape[1] / 2 < blue.min()
    # It is found in a saved result, too, and the page names it.
    loaded = VideoResult.load(result.save(tmp_path / 'results'))
    assert loaded.boxes.examples == result.boxes.examples
    with VideoReport(tmp_path / 'report', RunInfo('a.py')) as report:
        page = report.add(loaded).read_text('utf-8')
    data = json.loads(page.split('id="data">')[1].split('</script>')[0])
    assert data['video']['examples'] == written
    assert (tmp_path / 'report' / 'thumbs' / 'a' / 'example_6.jpg').is_file()


def test_no_picture_without_the_training_clip(clips, tmp_path):
    for example in (
        NormalExample('b', str(tmp_path / 'gone'), 5, NORMAL),
        NormalExample('b', '', 5, NORMAL),
        NormalExample('b', clips[1], 5, None),
        NormalExample('b', clips[1], 50, NORMAL),
        NormalExample('b', clips[1], 5, (100.0, 0.0, 110.0, 9.0)),
    ):
        assert write_examples(result_of(clips[0], example.to_json()), [6], tmp_path / 'out') == {}
    assert not (tmp_path / 'out').exists()
    with pytest.raises(DataError, match='is no normal example'):
        write_examples(result_of(clips[0], '{}'), [6], tmp_path / 'out')
